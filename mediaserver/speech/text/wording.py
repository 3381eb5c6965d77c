"""A value in the words a person would say: the table of formats. No I/O; values are text of strangers."""

import re
from collections.abc import Callable

from mediaserver.errors import did_you_mean
from mediaserver.speech.text import amounts, dates, languages, spelling
from mediaserver.speech.text.languages import Language

LONGEST_VALUE = 1000  # characters of a value that is spoken as it is
_LONGEST_FORMATTED = 100  # of one with a format: nobody listens to more digits

FORMATS: dict[str, Callable[[str, str, Language], str]] = {
    "number": amounts.number,
    "ordinal": amounts.ordinal,
    "year": amounts.year,
    "currency": amounts.currency,
    "date": dates.date_words,
    "time": dates.time_words,
    "datetime": dates.datetime_words,
    "duration": dates.duration,
    "digits": spelling.digits,
    "phone": spelling.phone,
    "spell": spelling.spell,
}
_SAMPLES = {"date": "2026-11-23", "time": "15:30", "datetime": "2026-11-23T15:30", "year": "2026"}


def check_format(name: str, argument: str) -> None:
    """ValueError for a format there is not, or an argument that it does not take."""
    if name and name not in FORMATS:
        raise ValueError(f'there is no format "{name[:20]}"{did_you_mean(name, FORMATS)}')
    if name == "currency" and argument:
        amounts.check_currency(argument)
    elif name == "digits" and argument:
        if not re.fullmatch("[1-9]", argument):
            raise ValueError("digits takes the size of a group, 1 to 9")
    elif argument:
        raise ValueError(f'the format "{name}" takes nothing after it')


def in_words(value: str, format_name: str, argument: str, language: str) -> str:
    """A value in words, one printable line; the format "" leaves it as it is. ValueError for what is no value."""
    value = plain(value).strip()
    longest = _LONGEST_FORMATTED if format_name else LONGEST_VALUE
    if len(value) > longest:
        raise ValueError(f"it is longer than {longest} characters")
    if not format_name:
        return value
    return plain(FORMATS[format_name](value, argument, languages.known(language)))


def prepare(format_name: str, argument: str, language: str) -> None:
    """Load what a format needs to speak a language (some 50 ms); ValueError where it cannot."""
    languages.known(language)
    if format_name:
        in_words(_SAMPLES.get(format_name, "12"), format_name, argument, language)


def plain(text: str) -> str:
    """Without control characters and what else cannot be printed: spaces instead."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)
