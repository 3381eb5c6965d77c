"""Loads settings from a TOML file and from environment variables, which override the file."""

import contextlib
import os
import re
import tomllib
from pathlib import Path
from typing import Any, get_origin

from mediaserver.config.environment import Environment
from mediaserver.config.settings import Settings
from mediaserver.config.suggestions import suggest_key
from mediaserver.config.toml_mistakes import explain_encoding, explain_syntax
from mediaserver.config.validation import validate_table
from mediaserver.errors import ConfigError, error_text

DEFAULT_FILE = Path("config.toml")


def default_file() -> Path | None:
    """The path `./config.toml`, or None if that file does not exist."""
    with contextlib.suppress(OSError):  # the server may lack the permission to search the working directory
        return DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    return None


def load(file: Path | None = None) -> tuple[Settings, list[str]]:
    """Load the settings of a configuration file and the environment. Also returns a line for each mistake in them.

    Without `file`, `./config.toml` is read if it exists, and the defaults apply otherwise. A relative prompt
    folder in a file is relative to that file. An invalid setting keeps its default, and an invalid table
    `[paths."/…"]` is left out, so that all other settings can be checked, too. ConfigError if the file cannot be
    read, or is not TOML.
    """
    file = file or default_file()
    where = str(file or "defaults")
    tables, wrong = _read(file) if file is not None else ({}, [])
    environment = Environment.read(
        os.environ, Settings, frozenset(_secret_variables(tables) | _secret_variables(dict(os.environ)))
    )
    given = environment.merge_over(tables)
    settings, found, _ = validate_table(Settings, given, suggest_key)
    if not isinstance(settings, Settings):
        raise AssertionError("settings have defaults, so there are always some")
    settings.set_invalid_tables(problem.key for problem in found)
    settings.set_sources(environment.variables, tables, given.get("paths", {}))
    problems = [*wrong, *(problem.line(settings.source(where, problem.key)) for problem in found)]
    if file is not None and ("prompts", "directory") not in environment.variables:
        settings = settings.override("prompts", directory=file.parent / settings.prompts.directory)
    return settings, [*problems, *environment.problems]


def _secret_variables(value: Any) -> set[str]:
    """The names of environment variables that settings name as places of secrets (`env:NAME`)."""
    if isinstance(value, dict | list):
        return {
            name
            for each in (value.values() if isinstance(value, dict) else value)
            for name in _secret_variables(each)
        }
    if isinstance(value, str):
        return set(re.findall(r"\benv:(\w+)", value, re.IGNORECASE))
    return set()


def _read(file: Path) -> tuple[dict[str, Any], list[str]]:
    """The tables of a TOML file, and one line for each top-level key that is no table or list, but should be."""
    text = ""
    try:
        text = file.read_text(encoding="utf-8-sig")  # Windows' editors begin a file with a byte order mark
        tables = tomllib.loads(text)
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {error_text(error)}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{file}: {explain_encoding(error)}"]) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError([f"{file}: is not TOML: {explain_syntax(text, error)}"]) from error
    wrong = {}
    for name, setting in Settings.model_fields.items():
        is_list = get_origin(setting.annotation) is tuple
        if name in tables and not isinstance(tables[name], list if is_list else dict):
            shape = (
                'has a table for each path, such as [paths."/hold"]'
                if name == "paths"
                else f"is a table, [{name}]"
            )
            wrong[name] = f"is a list of tables, [[{name}]] each" if is_list else shape
            del tables[name]
    return tables, [f"{file}: {name}: {why}" for name, why in wrong.items()]
