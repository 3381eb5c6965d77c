"""Codes, telephone numbers and names, spoken character by character.

A comma separates groups of characters in the result, because a TTS engine speaks a comma as a pause.
"""

import re
from unicodedata import decimal

from mediaserver.speech.text.languages import Language

_SIGN_NAMES = {  # the English names of signs; in other languages the TTS engine is given the sign itself
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
_CODE_SIGNS = "+*#"  # signs that are spoken as part of a code; any other sign separates two groups
# The country code at the start of an international telephone number, as in ITU-T E.164.
_COUNTRY_CODE = re.compile(r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[0-9]{3}")


def digit_words(text: str, argument: str, language: Language) -> str:
    """The characters of a code in words, in groups: "47-11" becomes "four seven, one one".

    `argument` is the number of characters in each group. If it is "", the groups are those that are separated in
    `text`.
    """
    groups = _split_groups(text)
    if argument:
        joined, size = "".join(groups), int(argument)
        groups = [joined[start : start + size] for start in range(0, len(joined), size)]
    return _group_words(groups, language)


def phone_words(text: str, argument: str, language: Language) -> str:
    """The digits of a telephone number in words, in groups.

    "+15551234567" becomes "plus one, five five five, one two three, four five six seven".
    """
    groups = _split_groups(text)
    if len(groups) > 1 and max(map(len, groups)) <= 5:
        return _group_words(groups, language)
    number = "".join(groups)
    country = _COUNTRY_CODE.match(number, 1) if number.startswith("+") else None
    start = country.end() if country else 0
    rest = number[start:]
    ends = [*range(3, len(rest) - 1, 3), len(rest)]
    if len(ends) > 2 and ends[-1] - ends[-2] == 1:
        ends.pop(-2)
    cut = [rest[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    return _group_words([number[:start], *cut] if start else cut, language)


def spelled_words(text: str, argument: str, language: Language) -> str:
    """A text spelled out: "a@b.co" becomes "A. at B dot C O". Commas, which are pauses, separate words."""
    return _group_words(text.split(), language)


def _split_groups(text: str) -> list[str]:
    kept = "".join(character if character.isalnum() or character in _CODE_SIGNS else " " for character in text)
    return kept.split()


def _group_words(groups: list[str], language: Language) -> str:
    if not any(groups):
        raise ValueError("there is nothing in it to be spoken")
    return ", ".join(
        " ".join(_character_words(character, language) for character in group) for group in groups if group
    )


def _character_words(character: str, language: Language) -> str:
    value = decimal(character, None)
    if value is not None:
        return language.number_words(int(value)) if language.num2words_code else str(value)
    if character in "Aa" and language.english:
        return "A."  # the letter A gets a dot, because a TTS engine would speak "A" as an article
    if character == "#" and language.english and not language.american:
        return "hash"
    return (_SIGN_NAMES.get(character) if language.english else None) or character.upper()
