"""Dates, times of day and durations in words.

In English all of it is words. Other languages have Babel's long patterns, "Montag, 23. November 2026", whose
digits are left for the engine to read: it knows their grammar.
"""

import re
from datetime import date, datetime, time

from mediaserver.speech.text.amounts import year_words
from mediaserver.speech.text.languages import Language

_CLOCK = re.compile(r"(?:([0-9]{1,6}):)?([0-9]{1,6}):([0-9]{2})")
_ISO = re.compile(
    r"P(?=.)(?:([0-9]{1,6})W)?(?:([0-9]{1,6})D)?"
    r"(?:T(?=.)(?:([0-9]{1,6})H)?(?:([0-9]{1,6})M)?(?:([0-9]{1,6}(?:\.[0-9]{1,9})?)S)?)?"
)
_UNITS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))
_ISO_SECONDS = (604800, 86400, 3600, 60, 1)
_HOURS = {"de": "Uhr", "nl": "uur"}  # where a time is the hour, a word, and the minute
_ONE_HOUR = {"de": "ein"}


def date_words(text: str, argument: str, language: Language) -> str:
    """ "2026-11-23" -> "Monday, November twenty-third, twenty twenty-six"."""
    return _date(_moment(text).date(), language)


def time_words(text: str, argument: str, language: Language) -> str:
    """ "15:30" -> "three thirty p.m."; seconds are left out."""
    return _time(_moment(text, clock=True).time(), language)


def datetime_words(text: str, argument: str, language: Language) -> str:
    """ "2026-11-23T15:30" -> the date, and the time, as they are written: in no other time zone."""
    moment = _moment(text)
    joint = " at " if language.english else ", "
    return f"{_date(moment.date(), language)}{joint}{_time(moment.time(), language)}"


def duration(text: str, argument: str, language: Language) -> str:
    """Seconds, "2:05", "1:02:05" or "PT2M5S" -> "two minutes and five seconds"."""
    from babel.lists import format_list

    rest = _seconds(text)
    parts: list[str] = []
    for unit, size in _UNITS:
        count, rest = divmod(rest, size)
        if not count and (parts or unit != "second" or rest):
            continue
        if language.english:
            parts.append(f"{language.words(count)} {unit}{'s' * (count != 1)}")
        else:
            parts.append(_counted(count, unit, language))
    return format_list(parts, locale=language.locale)


def _moment(text: str, clock: bool = False) -> datetime:
    """What ISO 8601 says; a time of day alone only where the `clock` is asked for."""
    try:
        if clock and not re.match(r"[0-9]{4}-", text):
            return datetime.combine(date.min, time.fromisoformat(text.zfill(5)))
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"write it as {'15:30' if clock else '2026-11-23'}, or 2026-11-23T15:30") from error


def _date(day: date, language: Language) -> str:
    from babel.dates import format_date

    if not language.english:
        return format_date(day, "full", locale=language.locale)
    weekday, month = (format_date(day, pattern, locale=language.locale) for pattern in ("EEEE", "MMMM"))
    of_month, year = language.words(day.day, "ordinal"), year_words(day.year, language)
    return (
        f"{weekday}, {month} {of_month}, {year}"
        if language.american
        else f"{weekday} the {of_month} of {month}, {year}"
    )


def _time(clock: time, language: Language) -> str:
    from babel.dates import format_time

    if language.english:
        return _english(clock, language)
    tongue = language.locale.language
    if tongue not in _HOURS:
        return format_time(clock, "short", locale=language.locale)
    hour = language.words(clock.hour) if clock.hour != 1 else _ONE_HOUR.get(tongue, language.words(1))
    minute = f" {language.words(clock.minute)}" if clock.minute else ""
    return f"{hour} {_HOURS[tongue]}{minute}"


def _english(clock: time, language: Language) -> str:
    if not clock.minute and clock.hour % 12 == 0:
        return "noon" if clock.hour else "midnight"
    hour = language.words(clock.hour % 12 or 12)
    minute = f" {'oh ' * (clock.minute < 10)}{language.words(clock.minute)}" if clock.minute else ""
    return f"{hour}{minute} {'p.m.' if clock.hour >= 12 else 'a.m.'}"  # not "a m": "a" is an article


def _counted(count: int, unit: str, language: Language) -> str:
    """Babel lacks the long names of units in some languages, zh among them, and has the short ones."""
    from babel.units import format_unit

    said = format_unit(count, f"duration-{unit}", length="long", locale=language.locale)
    return (
        format_unit(count, f"duration-{unit}", length="short", locale=language.locale)
        if "duration" in said
        else said
    )


def _seconds(text: str) -> int:
    """A duration's whole seconds."""
    if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return int(float(text) + 0.5)
    if found := _CLOCK.fullmatch(text):
        hours, minutes, seconds = (int(group or 0) for group in found.groups())
        return hours * 3600 + minutes * 60 + seconds
    if found := _ISO.fullmatch(text):
        return int(
            sum(float(group or 0) * size for group, size in zip(found.groups(), _ISO_SECONDS, strict=True)) + 0.5
        )
    raise ValueError("write it as seconds, 2:05 or PT2M5S")
