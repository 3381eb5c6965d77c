"""The table of formats (number, date, …) in which a value can be spoken, and the use of a format. No I/O.

Values come from callers and backends, and are not trusted. A value that is too long raises ValueError, and
characters of a value that cannot be printed become spaces.
"""

import re
from collections.abc import Callable

from mediaserver.errors import did_you_mean
from mediaserver.speech.text import amounts, dates, languages, spelling
from mediaserver.speech.text.languages import Language

MAX_VALUE_CHARACTERS = 1000  # the maximum length in characters of a value that is spoken as it is
_MAX_FORMATTED_CHARACTERS = 100  # the maximum length in characters of a value that a format puts into words

# The function for each format, which puts a value into words. It takes the value, the format's argument ("" for
# none) and a language. It raises ValueError if the value cannot be spoken in the format.
FORMATS: dict[str, Callable[[str, str, Language], str]] = {
    "number": amounts.number_words,
    "ordinal": amounts.ordinal_words,
    "year": amounts.year_words,
    "currency": amounts.currency_words,
    "date": dates.date_words,
    "time": dates.time_words,
    "datetime": dates.datetime_words,
    "duration": dates.duration_words,
    "digits": spelling.digit_words,
    "phone": spelling.phone_words,
    "spell": spelling.spelled_words,
}
# The sample values with which `preload_format` tries formats. A format that is missing here is tried with "12".
_SAMPLES = {"date": "2026-11-23", "time": "15:30", "datetime": "2026-11-23T15:30", "year": "2026"}


def validate_format(name: str, argument: str) -> None:
    """Raise ValueError for an unknown format, or for an argument that the format does not take."""
    if name and name not in FORMATS:
        raise ValueError(f'there is no format "{name[:20]}"{did_you_mean(name, FORMATS)}')
    if name == "currency" and argument:
        amounts.validate_currency(argument)
    elif name == "digits" and argument:
        if not re.fullmatch("[1-9]", argument):
            raise ValueError("digits takes the size of a group, 1 to 9")
    elif argument:
        raise ValueError(f'the format "{name}" takes nothing after it')


def normalise_value(value: str, format_name: str, argument: str, language: str) -> str:
    """A value in words, as one printable line. With the format "", the value is not put into words.

    `language` is a BCP 47 tag. Raises ValueError if the value is too long, or cannot be spoken in the format.
    """
    value = to_printable(value).strip()
    max_characters = _MAX_FORMATTED_CHARACTERS if format_name else MAX_VALUE_CHARACTERS
    if len(value) > max_characters:
        raise ValueError(f"it is longer than {max_characters} characters")
    if not format_name:
        return value
    return to_printable(FORMATS[format_name](value, argument, languages.find_language(language)))


def preload_format(format_name: str, argument: str, language: str) -> None:
    """Load the libraries and data that a format needs for a language, so that no call waits some 50 ms for them.

    Raises ValueError for an unknown language, and for a format that cannot be spoken in the language.
    """
    languages.find_language(language)
    if format_name:
        normalise_value(_SAMPLES.get(format_name, "12"), format_name, argument, language)


def to_printable(text: str) -> str:
    """The text with a space in place of each character that cannot be printed, such as a control character."""
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() else " " for character in text)
