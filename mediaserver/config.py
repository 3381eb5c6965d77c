"""TOML and environment to settings: the file is read, and the environment overrides it.

`MEDIASERVER_SERVER__PORT=9000` is `port` of `[server]`.
"""

import contextlib
import json
import os
import tomllib
from pathlib import Path
from typing import Any, get_origin

from pydantic import ValidationError
from pydantic_settings import SettingsError

from mediaserver import mistakes
from mediaserver.errors import ConfigError, did_you_mean, plainly
from mediaserver.mistakes import ENV_DELIMITER, ENV_PREFIX
from mediaserver.settings import Settings

DEFAULT_FILE = Path("config.toml")
_NO_JSON = 'should be JSON where it is a list or a table, such as ["a", "b"] or {"9000": "/audio-stream"}'


def default_file() -> Path | None:
    """`./config.toml`, where there is one."""
    with contextlib.suppress(OSError):  # a folder that cannot be searched
        return DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    return None


def load(file: Path | None = None) -> tuple[Settings, list[str]]:
    """Settings of a config file and the environment, and what is wrong with them, all mistakes at once.

    Without a file those of `./config.toml`, or the defaults. A relative prompt folder in a file is relative to
    that file. A wrong setting is left at its default, a wrong path out, so that the rest can be looked at too.
    ConfigError where there is nothing left to look at.
    """
    file = file or default_file()
    where = str(file or "defaults")
    found = _unknown_variables()
    tables = _read(file, found) if file is not None else {}
    try:
        settings = Settings(**tables)
    except SettingsError as error:
        raise ConfigError([*found, *(_no_json() or [f"environment: {error}"])]) from error
    except ValidationError as error:
        found = mistakes.problems(where, error, Settings) + found
        for details in error.errors():
            _leave_out(tables, details["loc"])
        try:
            settings = Settings(**tables)
        except ValidationError:  # a variable of the environment is wrong: there is no leaving it out
            raise ConfigError(found) from error
    if file is not None and not mistakes.variable_of(("prompts", "directory")):
        settings = settings.override("prompts", directory=file.parent / settings.prompts.directory)
    return settings, found


def _leave_out(tables: dict[str, Any], place: tuple[str | int, ...]) -> None:
    """Take a wrong setting, path or table out of a file's tables."""
    *above, last = place[:2]
    table = tables.get(str(above[0]), {}) if above else tables
    if isinstance(table, dict):
        table.pop(str(last), None)
    else:
        tables.pop(str(above[0]))


def _unknown_variables() -> list[str]:
    """Variables that look like settings and are none. Those without two underscores may be anybody's."""
    found = []
    for variable in sorted(os.environ):
        table, delimiter, _ = variable.upper().removeprefix(ENV_PREFIX).partition(ENV_DELIMITER)
        if variable.upper().startswith(ENV_PREFIX) and delimiter and table.lower() not in Settings.model_fields:
            hint = did_you_mean(table, map(str.upper, Settings.model_fields))
            found.append(f"{variable}: unknown setting{hint}")
    return found


def _no_json() -> list[str]:
    """The variables of tables and lists that hold no JSON."""
    found = []
    for variable, text in sorted(os.environ.items()):
        place = variable.upper().removeprefix(ENV_PREFIX).lower().split(ENV_DELIMITER)
        if variable.upper().startswith(ENV_PREFIX) and _is_compound(*place) and not _is_json(text):
            found.append(f"{variable}: {_NO_JSON}")
    return found


def _is_compound(table: str, *keys: str) -> bool:
    """Whether what a variable sets is a table or a list."""
    field = Settings.model_fields.get(table)
    if field is None or not keys:
        return field is not None
    setting = getattr(field.annotation, "model_fields", {}).get(keys[0])
    return setting is not None and get_origin(setting.annotation) in (tuple, dict)


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _read(file: Path, found: list[str]) -> dict[str, Any]:
    """The tables of a file; what is no table where one must be is left out, and told in `found`."""
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError([*found, f"{file}: cannot be read: {plainly(error)}"]) from error
    except (ValueError, RecursionError) as error:  # of TOML, or of UTF-8
        raise ConfigError([*found, f"{file}: is not TOML: {error}"]) from error
    wrong = [name for name in Settings.model_fields if not isinstance(tables.get(name, {}), dict)]
    found += [f"{file}: {name}: is a table, [{name}]" for name in wrong]
    for name in wrong:
        del tables[name]
    return tables
