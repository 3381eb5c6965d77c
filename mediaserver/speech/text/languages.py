"""Languages by their BCP 47 tags, as the libraries num2words and Babel know them.

num2words has words for numbers; Babel has the dates and currencies of CLDR. Both libraries are imported when a
language is first looked up. The import takes some 30 ms, so call `find_language` when the server starts, not
during calls.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any, NoReturn

from mediaserver.errors import did_you_mean

if TYPE_CHECKING:
    from babel import Locale

_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*")
# num2words' code of a language, by the language's code in BCP 47 tags, for languages whose two codes differ.
_NUM2WORDS_CODES = {"nb": "no", "nn": "no", "kk": "kz", "iw": "he"}
# Languages for which num2words is not used. In Amharic, num2words runs for ever on some numbers, and puts Latin
# letters into the words of others.
_WITHOUT_WORDS = {"am"}
# The word for the decimal point, in languages for which num2words lacks this word.
_DECIMAL_POINTS = {
    "ar": "فاصلة",
    "bn": "দশমিক",
    "cy": "pwynt",
    "fa": "ممیز",
    "id": "koma",
    "it": "virgola",
    "vi": "phẩy",
}
# The word for minus, in languages for which num2words has none, or has "(-)", which cannot be spoken.
_MINUS = {"bn": "মাইনাস", "ce": "минус", "kn": "ಮೈನಸ್", "te": "మైనస్", "vi": "âm"}
# The word after a year that is spoken as a plain number, by language. num2words' form "year" is not used for
# Japanese, because it counts years from the beginning of an era.
_YEAR_SUFFIXES = {"ja": "年"}
# Corrections of words that num2words 0.5.14 gets wrong: pairs of a pattern and its replacement, by num2words' code
# of the language.
_CORRECTIONS = {
    # In Spanish, the numbers 21 and 1 have short forms before the words mil and millones.
    "es": ((r"\bveintiuno(?= mil)", "veintiún"), (r"\buno(?= mil)", "un")),
    "fr": ((r"vingtsième\b", "vingtième"),),
    "sv": ((r"etttusen", "ettusen"), (r"\btjugode\b", "tjugonde")),
}
_AMERICAN_TERRITORIES = {None, "US", "CA", "PH"}  # None stands for the tag "en", which names no territory


@dataclass(frozen=True)
class Language:
    """A language: its BCP 47 tag, its code in num2words, and its locale in Babel."""

    tag: str  # the language's BCP 47 tag, such as en-GB
    num2words_code: str  # num2words' code of the language; "" if num2words does not know it
    babel_locale: "Locale | None"  # Babel's locale of the language; None if Babel does not know it

    @property
    def locale(self) -> "Locale":
        """Babel's locale of the language. Raises ValueError if Babel does not know the language."""
        if self.babel_locale is None:
            raise ValueError(f"there are no dates, times or names of currencies in the language {self.tag}")
        return self.babel_locale

    @property
    def english(self) -> bool:
        """Whether the language is English, of any territory."""
        return self.num2words_code.startswith("en")

    @property
    def american(self) -> bool:
        """Whether the language is English as in the USA: "November twenty-third", and no "and" in numbers."""
        return self.english and self.locale.territory in _AMERICAN_TERRITORIES

    @property
    def territory(self) -> str:
        """The territory of the tag, or else CLDR's most likely territory for the language; "" for none."""
        from babel.core import get_global

        likely = get_global("likely_subtags").get(self.locale.language, "")
        return self.locale.territory or likely.rpartition("_")[2]

    def number_words(self, number: int, form: str = "cardinal") -> str:
        """A number in words. `form` is num2words' "cardinal", "ordinal" or "year".

        Raises ValueError if num2words has no words for the number in the language.
        """
        if not self.num2words_code:
            raise ValueError(f"the language {self.tag} has no words for numbers")
        if form == "year" and (suffix := _YEAR_SUFFIXES.get(self.num2words_code)):
            return self.number_words(number) + suffix
        return _number_words(number, self.num2words_code, form, self.american)

    @cached_property
    def decimal_point(self) -> str:
        """The word between a number and its decimals, such as "point"; "" if no such word is known."""
        from num2words import CONVERTER_CLASSES

        word = getattr(CONVERTER_CLASSES.get(self.num2words_code), "pointword", "")
        word = word[-1 if self.num2words_code == "ru" else 0] if isinstance(word, tuple) else word
        return _DECIMAL_POINTS.get(self.num2words_code) or (word.strip() if word and "(" not in word else "")

    @cached_property
    def minus(self) -> str:
        """The word before a negative number, taken from the words for -1; "minus" if num2words cannot speak -1."""
        if self.num2words_code in _MINUS:
            return _MINUS[self.num2words_code]
        one = self.number_words(1)
        try:
            negative = self.number_words(-1)
        except ValueError:
            return "minus"
        return negative.removesuffix(one).strip() if negative.endswith(one) and negative != one else "minus"


def find_language(tag: str) -> Language:
    """The language of a BCP 47 tag. Raises ValueError for an unknown language."""
    return _find_language(tag) if _TAG.fullmatch(tag) else _raise_unknown(tag)


@lru_cache(maxsize=256)
def _find_language(tag: str) -> Language:
    from babel import Locale, UnknownLocaleError
    from num2words import CONVERTER_CLASSES

    locale = None
    for candidate in (tag, tag[: re.search(r"$|[-_]", tag).start()]):  # type: ignore[union-attr]  # $ is always found
        try:
            locale = Locale.parse(candidate.replace("-", "_"))
            break
        except (UnknownLocaleError, ValueError):
            continue
    language = locale.language if locale else tag.lower()
    base = _NUM2WORDS_CODES.get(language, language)
    candidates = (f"{base}_{locale.territory if locale else ''}", base)
    num2words_code = next((name for name in candidates if name in CONVERTER_CLASSES.keys() - _WITHOUT_WORDS), "")
    return Language(tag, num2words_code, locale) if num2words_code or locale else _raise_unknown(tag)


def _raise_unknown(tag: str) -> NoReturn:
    """Raise ValueError for an unknown language. The message suggests a similar tag, and lists known languages."""
    from babel import localedata
    from num2words import CONVERTER_CLASSES

    names = sorted(name.replace("_", "-") for name in CONVERTER_CLASSES.keys() - _WITHOUT_WORDS)
    hint = did_you_mean(tag, [*names, *localedata.locale_identifiers()])
    raise ValueError(
        f'the language "{" ".join(tag[:20].split())}" is not known{hint}: those with numbers in words are '
        f"{', '.join(names)}; others of CLDR, such as zh, with digits"
    )


@lru_cache(maxsize=4096)
def _number_words(number: int, language: str, form: str, american: bool) -> str:
    from num2words import num2words

    speak: Callable[..., Any] = num2words
    try:
        words = str(speak(number, lang=language, to=form))
    except Exception as error:  # num2words raises errors of many classes: KeyError, TypeError, …
        raise ValueError(f"the language {language} has no words for this number") from error
    words = " ".join(words.replace(",", "").split())  # removes commas, which a TTS engine would speak as pauses
    for wrong, right in _CORRECTIONS.get(language.partition("_")[0], ()):
        words = re.sub(wrong, right, words)
    return words.replace(" and ", " ") if american else words
