"""What the languages of BCP 47 are to the two libraries that know words: num2words (numbers) and Babel (CLDR).

Both are imported at first use, as they take some 30 ms: say `known` at start, not while calls are on.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any

from mediaserver.errors import did_you_mean

if TYPE_CHECKING:
    from babel import Locale

_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{1,8})*")
_CALLED = {"nb": "no", "nn": "no", "kk": "kz", "iw": "he"}  # where num2words says it otherwise
_POINTS = {"it": "virgola", "vi": "phẩy"}  # where num2words does not say
_AMERICAN = {None, "US", "CA", "PH"}


@dataclass(frozen=True)
class Language:
    """A language: its tag, what num2words calls it ("" where it has no words for numbers), and Babel's locale."""

    tag: str
    numbers: str
    known_locale: "Locale | None"

    @property
    def locale(self) -> "Locale":
        if self.known_locale is None:
            raise ValueError(f"there are no dates, times or names of currencies in the language {self.tag}")
        return self.known_locale

    @property
    def english(self) -> bool:
        return self.numbers.startswith("en")

    @property
    def american(self) -> bool:
        return self.english and self.locale.territory in _AMERICAN

    @property
    def territory(self) -> str:
        """The country, or the one where most speak the language, as CLDR has it; "" for none."""
        from babel.core import get_global

        likely = get_global("likely_subtags").get(self.locale.language, "")
        return self.locale.territory or likely.rpartition("_")[2]

    def words(self, number: int, form: str = "cardinal") -> str:
        """A number in words; ValueError where the language has none for it."""
        if not self.numbers:
            raise ValueError(f"the language {self.tag} has no words for numbers")
        return _words(number, self.numbers, form, self.american)

    @cached_property
    def point(self) -> str:
        """What is said between a number and its decimals; "" where num2words does not say."""
        from num2words import CONVERTER_CLASSES

        word = getattr(CONVERTER_CLASSES.get(self.numbers), "pointword", "")
        word = word[-1 if self.numbers == "ru" else 0] if isinstance(word, tuple) else word
        return _POINTS.get(self.numbers) or (word.strip() if word and "(" not in word else "")

    @cached_property
    def minus(self) -> str:
        """What is said before a negative number: not all of num2words' languages can say one."""
        one = self.words(1)
        try:
            negative = self.words(-1)
        except ValueError:
            return "minus"
        return negative.removesuffix(one).strip() if negative.endswith(one) and negative != one else "minus"


def known(tag: str) -> Language:
    """The language of a BCP 47 tag; ValueError for none."""
    return _known(tag) if _TAG.fullmatch(tag) else _unknown(tag)


@lru_cache(maxsize=256)
def _known(tag: str) -> Language:
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
    base = _CALLED.get(language, language)
    candidates = (f"{base}_{locale.territory if locale else ''}", base)
    numbers = next((name for name in candidates if name in CONVERTER_CLASSES), "")
    return Language(tag, numbers, locale) if numbers or locale else _unknown(tag)


def _unknown(tag: str) -> Language:
    from babel import localedata
    from num2words import CONVERTER_CLASSES

    names = sorted(name.replace("_", "-") for name in CONVERTER_CLASSES)
    hint = did_you_mean(tag, [*names, *localedata.locale_identifiers()])
    raise ValueError(
        f'the language "{" ".join(tag[:20].split())}" is not known{hint}: those with numbers in words are '
        f"{', '.join(names)}; others of CLDR, such as zh, with digits"
    )


@lru_cache(maxsize=4096)
def _words(number: int, language: str, form: str, american: bool) -> str:
    from num2words import num2words

    speak: Callable[..., Any] = num2words
    try:
        words = str(speak(number, lang=language, to=form))
    except Exception as error:  # num2words raises what it likes: KeyError, TypeError, …
        raise ValueError(f"the language {language} has no words for it") from error
    if language.startswith("en"):
        words = words.replace(",", "")  # would be heard as pauses
    return words.replace(" and ", " ") if american else words
