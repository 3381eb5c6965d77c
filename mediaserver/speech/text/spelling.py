"""Codes, telephone numbers and names, character by character, with pauses where people take a breath."""

import re
from unicodedata import decimal

from mediaserver.speech.text.languages import Language

_NAMES = {  # in English; other languages have the sign itself, which the engine reads
    "+": "plus",
    "*": "star",
    "#": "pound",
    "-": "dash",
    ".": "dot",
    "/": "slash",
    "\\": "backslash",
    "@": "at",
    "_": "underscore",
    ":": "colon",
    "&": "and",
    "=": "equals",
    "%": "percent",
    "!": "exclamation mark",
    ",": "comma",
    ";": "semicolon",
    "?": "question mark",
    "(": "open bracket",
    ")": "close bracket",
    "$": "dollar",
    "€": "euro",
    "£": "pound sign",
    "'": "apostrophe",
    '"': "quote",
    "~": "tilde",
    "|": "bar",
}
_KEYS = "+*#"  # of the signs, those that are part of a code; others separate groups
_COUNTRY = re.compile(r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[0-9]{3}")  # ITU-T E.164


def digits(text: str, argument: str, language: Language) -> str:
    """ "47-11" -> "four seven, one one": groups as they are written, or with an `argument` of so many."""
    groups = _groups(text)
    if argument:
        joined, size = "".join(groups), int(argument)
        groups = [joined[start : start + size] for start in range(0, len(joined), size)]
    return _said(groups, language)


def phone(text: str, argument: str, language: Language) -> str:
    """ "+15551234567" -> "plus one, five five five, one two three, four five six seven"."""
    groups = _groups(text)
    if len(groups) > 1 and max(map(len, groups)) <= 5:
        return _said(groups, language)
    number = "".join(groups)
    country = _COUNTRY.match(number, 1) if number.startswith("+") else None
    start = country.end() if country else 0
    rest = number[start:]
    ends = [*range(3, len(rest) - 1, 3), len(rest)]
    if len(ends) > 2 and ends[-1] - ends[-2] == 1:
        ends.pop(-2)
    cut = [rest[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    return _said([number[:start], *cut] if start else cut, language)


def spell(text: str, argument: str, language: Language) -> str:
    """ "a@b.co" -> "A. at B dot C O": each sign by its name."""
    return _said(text.split(), language)


def _groups(text: str) -> list[str]:
    kept = "".join(character if character.isalnum() or character in _KEYS else " " for character in text)
    return kept.split()


def _said(groups: list[str], language: Language) -> str:
    if not any(groups):
        raise ValueError("there is nothing in it to be spoken")
    return ", ".join(" ".join(_name(character, language) for character in group) for group in groups if group)


def _name(character: str, language: Language) -> str:
    value = decimal(character, None)
    if value is not None:
        return language.words(int(value)) if language.numbers else str(value)
    if character in "Aa" and language.english:
        return "A."  # without the dot it is an article
    if character == "#" and language.english and not language.american:
        return "hash"
    return (_NAMES.get(character) if language.english else None) or character.upper()
