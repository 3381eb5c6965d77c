"""What the comments of `config.example.toml` say of each setting."""

import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field

_PATHS = "\n# -- paths "  # from there on, handlers' settings, most of them commented out
_TABLE = re.compile(r"\[([a-z.]+)\]")
_VALUE = r"""("[^"]*"|\[.*?\](?=\s|$)|\{.*?\}(?=\s|$)|[^\s#]+)"""
_SETTING = re.compile(rf"(\w+) = {_VALUE}\s*(?:# (.*))?")
_FURTHER = re.compile(r"\s{15,}# (.*)")  # a line that goes on with the note behind a setting
_HANDLER = re.compile(r'handler = "([a-z-]+)"')


@dataclass
class Notes:
    """Of one table: what stands above it all, and what stands above, or behind, each key."""

    intro: str = ""
    keys: dict[str, str] = field(default_factory=dict)


def tables(example: str) -> dict[str, Notes]:
    """Notes of the tables above the paths.

    A comment is of all keys below it, up to the next one. In the first of a table, a line of `#` alone ends what
    is said of the table as a whole.
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
    """What stands behind a setting: an example of a value, the choices there are, or more of the comment."""
    try:
        tomllib.loads(f"value = {note}")
    except tomllib.TOMLDecodeError:
        return "" if re.fullmatch(r"\w+( \| \w+)+", note) else note
    return f"Example: `{note}`."


def handlers(example: str) -> dict[str, dict[str, str]]:
    """Notes of handlers' settings, by handler and key: what stands behind the first that has something there."""
    found: dict[str, dict[str, str]] = {}
    for block in _blocks(example.split(_PATHS)[1]):
        name = next((each[1] for line in block if (each := _HANDLER.fullmatch(line))), None)
        keys = found.setdefault(name, {}) if name else {}
        last = ""
        for line in block:
            if setting := _SETTING.fullmatch(line):
                last = setting[1] if setting[1] not in keys else ""  # a path before this one has its note
                if last and setting[3]:
                    keys[last] = setting[3]
            elif (further := _FURTHER.fullmatch(line)) and last:
                keys[last] = f"{keys.get(last, '')} {further[1]}".strip()
    return found


def _blocks(text: str) -> Iterator[list[str]]:
    """The lines of each path, as they would be where nothing is commented out."""
    block: list[str] = []
    for line in text.splitlines():
        bare = line.removeprefix("# ") if line != "#" else ""
        if bare.startswith("["):
            yield block
            block = []
        block.append(bare)
    yield block
