"""Explains why a file is not TOML: the parser's own message, and a hint for the mistakes that people make."""

import ast
import codecs
import re
from collections.abc import Callable
from typing import NamedTuple

from mediaserver.config.error_messages import format_key
from mediaserver.support.credentials import redact_url

_PLACE = re.compile(r"at line (\d+), column (\d+)")
_TWICE = re.compile(r"Cannot declare (\(.*\)) twice")
_BARE_PATH = re.compile(r"""\s*(?:\[+\s*paths\s*\.)?\s*(/(?!/)[^\]"'=\s]*)""")
_BOOLEAN = re.compile(r"(true|false|yes|no)\b", re.IGNORECASE)
_BACKSLASH = "write \\\\ for each \\, or put the text in single quotes"
_TYPOGRAPHIC = "“”„‟‘’‚‛«»"


class _Place(NamedTuple):
    """Where the parser stopped: the line, and its two parts around the column."""

    line: str
    before: str
    rest: str  # begins with the character that the parser did not expect; "" at the end of the line


def explain_syntax(text: str, error: Exception) -> str:
    """Why a text is not TOML, and how it should be written."""
    message = str(error)
    if twice := _TWICE.search(message):
        return message.replace(twice[1], f"[{format_key(ast.literal_eval(twice[1]))}]")
    found = _PLACE.search(message)
    if found is None:
        return message
    line = [*text.split("\n"), ""][int(found[1]) - 1]
    column = int(found[2]) - 1
    place = _Place(line, line[:column], line[column:].rstrip())
    hint = next(filter(None, (make(place) for kind, make in _HINTS if message.startswith(kind))), "")
    return f"{message}: {hint}" if hint else message


def explain_encoding(error: UnicodeDecodeError) -> str:
    """Why a file is no text in UTF-8, and where."""
    if error.object.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "is in UTF-16: save it as UTF-8"
    return f"is not in UTF-8 (at line {error.object[: error.start].count(10) + 1}): save it as UTF-8"


def _path_without_quotes(place: _Place) -> str:
    bare = _BARE_PATH.match(place.line)
    return f'a path stands in quotes, as in [paths."{redact_url(bare[1])}"]' if bare else ""


def _typographic_quotes(place: _Place) -> str:
    return f"quotes are written \" or ', not {place.rest[0]}" if place.rest[:1] in [*_TYPOGRAPHIC] else ""


def _value(place: _Place) -> str:
    if not place.rest or place.rest.startswith("#"):
        return "there is no value"
    if _BOOLEAN.match(place.rest):
        return "write true or false, in small letters"
    return 'text stands in quotes, as in handler = "playback"' if re.match(r"[\w/]", place.rest) else ""


def _in_braces(place: _Place) -> str:
    if "{" not in place.before:
        return ""
    if not place.rest or place.rest.startswith("#"):
        return "a table in braces ends on the line on which it begins"
    return "no comma stands before }" if place.rest.startswith("}") else ""


def _after_statement(place: _Place) -> str:
    if place.rest.startswith("//"):
        return "a comment begins with #"
    return "a number has no unit" if re.search(r"\d\s*$", place.before) and place.rest[:1].isalpha() else ""


def _statement(place: _Place) -> str:
    return "a comment begins with #" if place.rest.startswith(("//", ";")) else ""


def _always(hint: str) -> Callable[[_Place], str]:
    return lambda place: hint


# Hints by the beginning of the parser's message. The first one that applies is given.
_HINTS: tuple[tuple[str, Callable[[_Place], str]], ...] = (
    ("Invalid ", _typographic_quotes),
    ("Invalid initial character", _path_without_quotes),
    ("Invalid statement", _path_without_quotes),
    ("Invalid statement", _statement),
    ("Invalid value", _value),
    ("Invalid initial character", _in_braces),
    ("Unclosed inline table", lambda place: _in_braces(place) or "a comma stands between two settings"),
    ("Unclosed array", _always("a comma stands between two entries")),
    ("Illegal character '\\n'", _always("the closing quote is missing")),
    ("Unescaped '\\'", _always(_BACKSLASH)),
    ("Invalid hex value", _always(_BACKSLASH)),
    ("Cannot overwrite a value", _always("this key is set above as well")),
    ("Expected newline or end of document", _after_statement),
)
