"""Settings in environment variables: `MEDIASERVER_SERVER__PORT=9000` is `port` of `[server]`.

A whole list or table is JSON. A variable that begins like ours and is no setting is a mistake, but for those that
others give to a service of our name.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, get_origin

from pydantic import BaseModel

from mediaserver.config.mistakes import Place, alternatives, kind_at
from mediaserver.config.strictness import Text

ENV_PREFIX, ENV_DELIMITER = "MEDIASERVER_", "__"
# What is not a setting: the command line's option --config.
_OPTIONS = {"MEDIASERVER_CONFIG"}
# What Kubernetes gives to the containers of a namespace that has a Service named mediaserver, or mediaserver-….
_SERVICE = re.compile(
    r"MEDIASERVER_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)"
)
_LINK = re.compile(r"(tcp|udp|sctp)://")  # what it gives as the port of one, whose name ends so
_NO_JSON = 'should be JSON where it is a list or a table, such as ["a", "b"] or {"9000": "/audio-stream"}'


@dataclass
class Environment:
    """What variables say: tables as a file has them, and which says what. `problems` has a line a mistake."""

    tables: dict[str, Any] = field(default_factory=dict)
    variables: dict[Place, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, variables: Mapping[str, str], model: type[BaseModel], used: frozenset[str]) -> "Environment":
        """The settings of a model among variables; those that are `used` for something else are none."""
        found = cls()
        for name, text in sorted(variables.items()):
            upper = name.upper()
            if upper.startswith(ENV_PREFIX) and name not in used and not _is_of_others(upper, text):
                found._take(name, text, model)
        return found

    def over(self, tables: dict[str, Any]) -> dict[str, Any]:
        """A file's tables, with what variables say in place of what they say."""
        return {**tables, **{key: _merged(tables.get(key), value) for key, value in self.tables.items()}}

    def _take(self, name: str, text: str, model: type[BaseModel]) -> None:
        place: Place = tuple(name.upper().removeprefix(ENV_PREFIX).lower().split(ENV_DELIMITER))
        kind = kind_at(place, model)
        if kind is None:
            self.problems.append(f"{name}: unknown setting{_hint(name.upper(), model)}")
            return
        value: Any = Text(text)
        if is_compound(kind):
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                self.problems.append(f"{name}: {_NO_JSON}")
                return
        elif Any in alternatives(kind):
            value = _anything(text)
        above: Any = self.tables
        for part in place[:-1]:
            above = above.setdefault(part, {})
            if not isinstance(above, dict):
                return  # a variable of the whole table is wrong, and told
        above[place[-1]] = _merged(value, above.get(place[-1], {})) if isinstance(value, dict) else value
        for below in _places(value):
            self.variables[(*place, *below)] = name


def is_compound(kind: Any) -> bool:
    """Whether a setting is a table or a list."""
    return get_origin(kind) in (tuple, list, dict) or (isinstance(kind, type) and issubclass(kind, BaseModel))


def variables_of(model: type[BaseModel], above: str = ENV_PREFIX) -> Iterator[str]:
    """The variables of all settings of a model, but for the tables themselves."""
    for name, setting in model.model_fields.items():
        if isinstance(setting.annotation, type) and issubclass(setting.annotation, BaseModel):
            yield from variables_of(setting.annotation, f"{above}{name.upper()}{ENV_DELIMITER}")
        else:
            yield f"{above}{name.upper()}"


def _is_of_others(name: str, text: str) -> bool:
    is_link = name.endswith("_PORT") and ENV_DELIMITER not in name and _LINK.match(text) is not None
    return is_link or name in _OPTIONS or _SERVICE.fullmatch(name) is not None


def _hint(name: str, model: type[BaseModel]) -> str:
    """` (did you mean …?)`: the variable of the same letters, or of almost the same."""
    there = {known.removeprefix(ENV_PREFIX).replace("_", ""): known for known in variables_of(model)}
    close = get_close_matches(name.removeprefix(ENV_PREFIX).replace("_", ""), there, n=1, cutoff=0.8)
    return f" (did you mean {there[close[0]]}?)" if close else ""


def _anything(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _places(value: Any) -> Iterator[Place]:
    """The places of a value and of all that is in it."""
    yield ()
    if isinstance(value, dict):
        for key, each in value.items():
            yield from ((key, *below) for below in _places(each))


def _merged(below: Any, above: Any) -> Any:
    """A value with another one laid over it, table by table."""
    if isinstance(below, dict) and isinstance(above, dict):
        return below | {key: _merged(below.get(key), each) for key, each in above.items()}
    return above
