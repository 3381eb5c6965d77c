"""Reads the comments on each setting from `config.example.toml`."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field

_PATHS = "\n# -- paths "  # the begin of the handlers' settings, most of which are commented out
_TABLE = re.compile(r"\[([a-z.]+)\]")
_VALUE = r"""("[^"]*"|\[.*?\](?=\s|$)|\{.*?\}(?=\s|$)|[^\s#]+)"""
_SETTING = re.compile(rf"(\w+) = {_VALUE}\s*(?:# (.*))?")
_FURTHER = re.compile(r"\s{15,}# (.*)")  # a line that continues the comment behind a setting
_HANDLER = re.compile(r'handler = "([a-z-]+)"')


@dataclass
class Notes:
    """The comments of one table: `intro` above the whole table, and those above, or behind, each key."""

    intro: str = ""
    keys: dict[str, str] = field(default_factory=dict)


def tables(example: str) -> dict[str, Notes]:
    """The comments of all tables that stand before the paths, by the tables' names.

    A comment is about all keys below it, up to the next comment. In the first comment of a table, a line of `#`
    alone ends the part that is about the whole table.
    """
    found: dict[str, Notes] = {}
    notes, comment, above = Notes(), [""], False
    for line in example.split(_PATHS)[0].splitlines():
        if table := _TABLE.fullmatch(line):
            notes = found[table[1]] = Notes()
            comment, above = [""], True
        elif line == "#" and comment[-1]:
            comment.append("")
        elif line.startswith("# "):
            comment = comment if above else [""]
            comment[-1] = f"{comment[-1]} {line[2:]}".strip()
            above = True
        elif setting := _SETTING.fullmatch(line):
            notes.intro = notes.intro or " ".join(comment[:-1])
            notes.keys[setting[1]] = " ".join(filter(None, (comment[-1], _behind(setting[3] or ""))))
            above = False
    return found


def _behind(note: str) -> str:
    """The text of a comment behind a setting. A TOML value becomes an example; a list of choices is left out."""
    try:
        tomllib.loads(f"value = {note}")
    except tomllib.TOMLDecodeError:
        return "" if re.fullmatch(r"\w+( \| \w+)+", note) else note
    return f"Example: `{note}`."


def handlers(example: str) -> dict[str, dict[str, str]]:
    """The comments of handlers' settings, by handler and key: the first comment that stands behind the key."""
    found: dict[str, dict[str, str]] = {}
    for block in _blocks(example.split(_PATHS)[1]):
        name = next((each[1] for line in block if (each := _HANDLER.fullmatch(line))), None)
        keys = found.setdefault(name, {}) if name else {}
        last = ""
        for line in block:
            if setting := _SETTING.fullmatch(line):
                last = setting[1] if setting[1] not in keys else ""  # an earlier path has a comment on it
                if last and setting[3]:
                    keys[last] = setting[3]
            elif (further := _FURTHER.fullmatch(line)) and last:
                keys[last] = f"{keys.get(last, '')} {further[1]}".strip()
    return found


def _blocks(text: str) -> Iterator[list[str]]:
    """The lines of each path, without the `# ` of lines that are commented out."""
    block: list[str] = []
    for line in text.splitlines():
        bare = line.removeprefix("# ") if line != "#" else ""
        if bare.startswith("["):
            yield block
            block = []
        block.append(bare)
    yield block
