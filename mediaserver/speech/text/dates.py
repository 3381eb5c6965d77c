"""Dates, times of day and durations in words.

In English, all parts of a value become words. In other languages, the library Babel formats the value, as in
"Montag, 23. November 2026". Digits that Babel writes stay digits, because the TTS engine knows in which
grammatical form to speak them.
"""

import re
from datetime import date, datetime, time

from mediaserver.speech.text.amounts import integer_year_words
from mediaserver.speech.text.languages import Language

_COLON_DURATION = re.compile(r"(?:([0-9]{1,6}):)?([0-9]{1,6}):([0-9]{2})")
_ISO_DURATION = re.compile(
    r"P(?=.)(?:([0-9]{1,6})W)?(?:([0-9]{1,6})D)?"
    r"(?:T(?=.)(?:([0-9]{1,6})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,6}(?:\.[0-9]{1,9})?)S)?)?"
)
_UNIT_SECONDS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_ISO_UNIT_SECONDS = (604800, 86400, 3600, 60, 1)  # the seconds in a week, a day, an hour, a minute and a second
_HOUR_WORDS = {"de": "Uhr", "nl": "uur"}  # the word between the hour and the minute, by language
# The word for the hour 1, by language, if the word differs from the number: "ein Uhr", not "eins Uhr".
_ONE_HOUR = {"de": "ein"}


def date_words(text: str, argument: str, language: Language) -> str:
    """A date in words: "2026-11-23" becomes "Monday, November twenty-third, twenty twenty-six"."""
    return _day_words(_parse_datetime(text).date(), language)


def time_words(text: str, argument: str, language: Language) -> str:
    """A time of day in words: "15:30" becomes "three thirty p.m."; seconds are left out."""
    return _clock_words(_parse_datetime(text, clock=True).time(), language)


def datetime_words(text: str, argument: str, language: Language) -> str:
    """The words of a date and time such as "2026-11-23T15:30". A time zone in the value is ignored."""
    moment = _parse_datetime(text)
    joint = " at " if language.english else ", "
    return f"{_day_words(moment.date(), language)}{joint}{_clock_words(moment.time(), language)}"


def duration_words(text: str, argument: str, language: Language) -> str:
    """A duration in words: "125" (seconds), "2:05" or "PT2M5S" becomes "two minutes and five seconds"."""
    from babel.lists import format_list

    rest = _parse_duration(text)
    parts: list[str] = []
    for unit, size in _UNIT_SECONDS:
        count, rest = divmod(rest, size)
        if not count and (parts or unit != "second" or rest):
            continue
        if language.english:
            parts.append(f"{language.number_words(count)} {unit}{'s' * (count != 1)}")
        else:
            parts.append(_count_with_unit(count, unit, language))
    return format_list(parts, locale=language.locale)


def _parse_datetime(text: str, clock: bool = False) -> datetime:
    """Parse an ISO 8601 date, with or without a time; if `clock` is set, also a time alone. Raises ValueError."""
    try:
        if clock and not re.match(r"[0-9]{4}-", text):
            return datetime.combine(date.min, time.fromisoformat(text.zfill(5)))
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"write it as {'15:30' if clock else '2026-11-23'}, or 2026-11-23T15:30") from error


def _day_words(day: date, language: Language) -> str:
    from babel.dates import format_date

    if not language.english:
        return format_date(day, "full", locale=language.locale)
    weekday, month = (format_date(day, pattern, locale=language.locale) for pattern in ("EEEE", "MMMM"))
    of_month, year = language.number_words(day.day, "ordinal"), integer_year_words(day.year, language)
    return (
        f"{weekday}, {month} {of_month}, {year}"
        if language.american
        else f"{weekday} the {of_month} of {month}, {year}"
    )


def _clock_words(clock: time, language: Language) -> str:
    from babel.dates import format_time

    if language.english:
        return _english_clock_words(clock, language)
    code = language.locale.language
    if code not in _HOUR_WORDS:
        return format_time(clock, "short", locale=language.locale)
    hour = language.number_words(clock.hour) if clock.hour != 1 else _ONE_HOUR.get(code, language.number_words(1))
    minute = f" {language.number_words(clock.minute)}" if clock.minute else ""
    return f"{hour} {_HOUR_WORDS[code]}{minute}"


def _english_clock_words(clock: time, language: Language) -> str:
    if not clock.minute and clock.hour % 12 == 0:
        return "noon" if clock.hour else "midnight"
    hour = language.number_words(clock.hour % 12 or 12)
    minute = f" {'oh ' * (clock.minute < 10)}{language.number_words(clock.minute)}" if clock.minute else ""
    # "a.m." is written with dots, because a TTS engine would speak an "a" without a dot as an article.
    return f"{hour}{minute} {'p.m.' if clock.hour >= 12 else 'a.m.'}"


def _count_with_unit(count: int, unit: str, language: Language) -> str:
    """A number with the name of its unit of time. The short name is used if Babel lacks the long name."""
    from babel.units import format_unit

    long_name = format_unit(count, f"duration-{unit}", length="long", locale=language.locale)
    return (
        format_unit(count, f"duration-{unit}", length="short", locale=language.locale)
        if "duration" in long_name
        else long_name
    )


def _parse_duration(text: str) -> int:
    """Parse a duration and return it in seconds, rounded to a whole number. Raises ValueError."""
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return int(float(text) + 0.5)
    if found := _COLON_DURATION.fullmatch(text):
        hours, minutes, seconds = (int(group or 0) for group in found.groups())
        return hours * 3600 + minutes * 60 + seconds
    if found := _ISO_DURATION.fullmatch(text):
        return int(
            sum(float(group or 0) * size for group, size in zip(found.groups(), _ISO_UNIT_SECONDS, strict=True))
            + 0.5
        )
    raise ValueError("write it as seconds, 2:05 or PT2M5S")
