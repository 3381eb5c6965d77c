"""Settings in environment variables: `MEDIASERVER_SERVER__PORT=9000` sets `port` of `[server]`.

The value of a list or table is JSON. A variable with the prefix `MEDIASERVER_` that names no setting is a mistake,
except for the variables that Kubernetes sets for a service called mediaserver.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, get_origin

from pydantic import BaseModel

from mediaserver.config.error_messages import KeyPath, type_at, union_members
from mediaserver.config.strict_types import RawText

ENV_PREFIX, ENV_DELIMITER = "MEDIASERVER_", "__"
_DEFAULTS = f"{ENV_PREFIX}DEFAULTS{ENV_DELIMITER}"
# Environment variables that stand for command-line options, such as --config, and are no settings.
_OPTIONS = {"MEDIASERVER_CONFIG"}
# The environment variables that Kubernetes sets in all containers of a namespace with a Service named mediaserver
# or mediaserver-….
_SERVICE = re.compile(
    r"MEDIASERVER_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LINK = re.compile(r"(tcp|udp|sctp)://")  # the beginning of the value that Kubernetes gives to MEDIASERVER_PORT
# A name without quotes, which is not JSON. For a setting that is a list, it stands for a list of one entry.
_NAME = re.compile(r"[A-Za-z][\w-]*")
_NO_JSON = 'should be JSON where it is a list or a table, such as ["a", "b"] or {"9000": "/audio-stream"}'


@dataclass
class Environment:
    """The settings in environment variables, as tables.

    `variables` has the environment variable that sets each key. `problems` has one line for each mistake.
    """

    tables: dict[str, Any] = field(default_factory=dict)
    variables: dict[KeyPath, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, variables: Mapping[str, str], model: type[BaseModel], used: frozenset[str]) -> "Environment":
        """Read a model's settings from `variables`, except those `used` for other things, such as secrets."""
        found = cls()
        for name, text in sorted(variables.items()):
            upper = name.upper()
            if upper.startswith(ENV_PREFIX) and name not in used and not _is_foreign(upper, text):
                found._add(name, text, model)
        return found

    def merge_over(self, tables: dict[str, Any]) -> dict[str, Any]:
        """The `tables` of a file, overridden by the settings in environment variables."""
        return {**tables, **{key: _merged(tables.get(key), value) for key, value in self.tables.items()}}

    def _add(self, name: str, text: str, model: type[BaseModel]) -> None:
        key: KeyPath = tuple(name.upper().removeprefix(ENV_PREFIX).lower().split(ENV_DELIMITER))
        kind = type_at(key, model)
        if kind is None:
            self.problems.append(f"{name}: unknown setting{_hint(name.upper(), model)}")
            return
        value: Any = RawText(text)
        if is_compound(kind):
            try:
                value = RawText(text) if _NAME.fullmatch(text) and get_origin(kind) is tuple else json.loads(text)
            except (ValueError, RecursionError):
                self.problems.append(f"{name}: {_NO_JSON}")
                return
        elif Any in union_members(kind):
            value = _json_or_text(text)
        above: Any = self.tables
        for part in key[:-1]:
            above = above.setdefault(part, {})
            if not isinstance(above, dict):
                return  # the variable of the whole table is invalid, which is reported already
        above[key[-1]] = _merged(value, above.get(key[-1], {})) if isinstance(value, dict) else value
        for below in _key_paths(value):
            self.variables[(*key, *below)] = name


def is_compound(kind: Any) -> bool:
    """Whether a setting's type is a table or a list."""
    return get_origin(kind) in (tuple, list, dict) or (isinstance(kind, type) and issubclass(kind, BaseModel))


def setting_variables(model: type[BaseModel], above: str = ENV_PREFIX) -> Iterator[str]:
    """Yield the environment variable of each setting in a model, but none for a whole table of settings."""
    for name, setting in model.model_fields.items():
        if isinstance(setting.annotation, type) and issubclass(setting.annotation, BaseModel):
            yield from setting_variables(setting.annotation, f"{above}{name.upper()}{ENV_DELIMITER}")
        else:
            yield f"{above}{name.upper()}"


def _is_foreign(name: str, text: str) -> bool:
    is_link = name.endswith("_PORT") and ENV_DELIMITER not in name and _LINK.match(text) is not None
    return is_link or name in _OPTIONS or _SERVICE.fullmatch(name) is not None


def _hint(name: str, model: type[BaseModel]) -> str:
    """A hint ` (did you mean …?)` for a misspelt variable; "" if no known variable has a similar name.

    Underscores do not count in the comparison. A variable that lacks its table means [defaults], or else the first
    table that has the key.
    """
    known = sorted([*setting_variables(model), *_OPTIONS], key=lambda each: not each.startswith(_DEFAULTS))
    by_letters = {each.removeprefix(ENV_PREFIX).replace("_", ""): each for each in known}
    key = name.removeprefix(ENV_PREFIX)
    close = get_close_matches(key.replace("_", ""), by_letters, n=1, cutoff=0.8)
    meant = [by_letters[each] for each in close] or [each for each in known if each.endswith(ENV_DELIMITER + key)]
    return f" (did you mean {meant[0]}?)" if meant else ""


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _key_paths(value: Any) -> Iterator[KeyPath]:
    """Yield the key path of a value, which is (), and then of all values inside the value, outermost first."""
    yield ()
    if isinstance(value, dict):
        for key, each in value.items():
            yield from ((key, *below) for below in _key_paths(each))


def _merged(below: Any, above: Any) -> Any:
    """The tables of `below`, overridden by those of `above` key by key, at any depth."""
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: _merged(below.get(key), each) for key, each in above.items()}
    return above
