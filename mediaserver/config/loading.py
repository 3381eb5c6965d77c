"""TOML and environment to settings: the file is read, and the environment overrides it."""

import contextlib
import os
import re
import tomllib
from pathlib import Path
from typing import Any

from mediaserver.config.environment import Environment
from mediaserver.config.examination import examine
from mediaserver.config.misplaced_keys import elsewhere
from mediaserver.config.settings import Settings
from mediaserver.errors import ConfigError, plainly
from mediaserver.support.credentials import shown_url

DEFAULT_FILE = Path("config.toml")
_BARE_PATH = re.compile(r"""\s*(?:\[+\s*paths\s*\.)?\s*(/[^\]"'=\s]*)""")
_BARE_VALUE = re.compile(r"\s*[\w.\"-]+\s*=\s*([A-Za-z][^\"',\]}#]*)")
_LINE = re.compile(r"at line (\d+)")


def default_file() -> Path | None:
    """`./config.toml`, where there is one."""
    with contextlib.suppress(OSError):  # a folder that cannot be searched
        return DEFAULT_FILE if DEFAULT_FILE.is_file() else None
    return None


def load(file: Path | None = None) -> tuple[Settings, list[str]]:
    """Settings of a config file and the environment, and what is wrong with them, all mistakes at once.

    Without a file those of `./config.toml`, or the defaults. A relative prompt folder in a file is relative to
    that file. A wrong setting is left at its default, a path without a handler out, so that the rest can be looked
    at too. ConfigError where the file cannot be read.
    """
    file = file or default_file()
    where = str(file or "defaults")
    tables, wrong = _read(file) if file is not None else ({}, [])
    environment = Environment.read(os.environ, Settings, frozenset(_named(tables) | _named(dict(os.environ))))
    given = environment.over(tables)
    settings, mistakes, _ = examine(Settings, given, elsewhere)
    if not isinstance(settings, Settings):
        raise AssertionError("settings have defaults, so there are always some")
    settings.know_mistakes(mistake.place for mistake in mistakes)
    settings.know(environment.variables, tables, given.get("paths", {}))
    problems = [*wrong, *(mistake.line(settings.source(where, mistake.place)) for mistake in mistakes)]
    if file is not None and ("prompts", "directory") not in environment.variables:
        settings = settings.override("prompts", directory=file.parent / settings.prompts.directory)
    return settings, [*problems, *environment.problems]


def _named(value: Any) -> set[str]:
    """The variables that settings name as the place of a secret."""
    if isinstance(value, dict | list):
        return {name for each in (value.values() if isinstance(value, dict) else value) for name in _named(each)}
    if isinstance(value, str):
        return set(re.findall(r"\benv:(\w+)", value, re.IGNORECASE))
    return set()


def _read(file: Path) -> tuple[dict[str, Any], list[str]]:
    """The tables of a file; what is no table where one must be is left out, and told."""
    text = ""
    try:
        text = file.read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except OSError as error:
        raise ConfigError([f"{file}: cannot be read: {plainly(error)}"]) from error
    except (ValueError, RecursionError) as error:  # of TOML, or of UTF-8
        raise ConfigError([f"{file}: is not TOML: {error}{_unquoted(text, str(error))}"]) from error
    wrong = [name for name in Settings.model_fields if not isinstance(tables.get(name, {}), dict)]
    for name in wrong:
        del tables[name]
    return tables, [f"{file}: {name}: is a table, [{name}]" for name in wrong]


def _unquoted(text: str, why: str) -> str:
    """The most likely reason why a line is no TOML: a path, or a text, without quotes."""
    number = _LINE.search(why)
    lines = text.splitlines()[int(number[1]) - 1 :][:1] if number is not None else []
    if bare := next(filter(None, map(_BARE_PATH.match, lines)), None):
        return f': a path stands in quotes, as in [paths."{shown_url(bare[1])}"]'
    is_value = "value" in why and any(map(_BARE_VALUE.match, lines))
    return ': text stands in quotes, as in handler = "playback"' if is_value else ""
