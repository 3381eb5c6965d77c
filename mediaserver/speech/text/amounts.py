"""Numbers, ordinals, years and money in words.

A value must be written as programs write it: in digits, with a point before the decimals. The library num2words
puts digits into words. A value in a language that num2words does not know keeps its digits, which the TTS engine
speaks.
"""

import re
from decimal import ROUND_HALF_UP, Decimal
from inspect import signature
from typing import Any

from mediaserver.speech.text.languages import Language

_MAX_DIGITS = 18  # the maximum number of digits of a value; a value with more digits raises ValueError
_NUMBER = re.compile(r"([-+\u2212]?)([0-9]+(?:\.[0-9]+)?)")
_MONEY = re.compile(
    r"([-+\u2212]?)\s*([A-Za-z]{3}|[$€£¥₩₹])?\s*([-+\u2212]?)([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]{3}|[$€£¥₩₹])?"
)
_CURRENCY_SYMBOLS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₩": "KRW", "₹": "INR"}
# The number of decimals (minor units of ISO 4217) of each currency that does not have two. CLDR (Babel's data) is
# not used, because its decimals are those of cash, change with CLDR's version, and would round to whole forints.
_MINOR_DIGITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF"), 0),
    **dict.fromkeys(("UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}
# The `str.translate` table that deletes the brackets in CLDR's names of currencies, such as the pound's in Thai.
_WITHOUT_BRACKETS = dict.fromkeys(map(ord, "()（）"))
_DOLLAR = ("dollar", "dollars", "cent", "cents")
# The English names of each currency: one unit, several units, one hundredth, several hundredths. CLDR (Babel's
# data) is not used, because it says "US dollars" for dollars, and has no names of hundredths such as cents.
_ENGLISH_NAMES = {
    **dict.fromkeys(("USD", "CAD", "AUD", "NZD", "SGD", "HKD"), _DOLLAR),
    "EUR": ("euro", "euros", "cent", "cents"),
    "GBP": ("pound", "pounds", "penny", "pence"),
    "CHF": ("franc", "francs", "centime", "centimes"),
    "INR": ("rupee", "rupees", "paisa", "paise"),
    "MXN": ("peso", "pesos", "centavo", "centavos"),
    "ZAR": ("rand", "rand", "cent", "cents"),
    "JPY": ("yen", "yen", "", ""),
    "KRW": ("won", "won", "", ""),
}


def number_words(text: str, argument: str, language: Language) -> str:
    """A number in words: "-12.5" becomes "minus twelve point five"."""
    found = _NUMBER.fullmatch(text)
    if not found or len(found[2]) > _MAX_DIGITS:
        raise ValueError(f"write it as -1234.5, with at most {_MAX_DIGITS} digits")
    return _with_sign(found[1], _decimal_words(Decimal(found[2]), language), language)


def ordinal_words(text: str, argument: str, language: Language) -> str:
    """An ordinal number in words: "21" becomes "twenty-first"."""
    return language.number_words(_parse_integer(text), "ordinal")


def year_words(text: str, argument: str, language: Language) -> str:
    """A year in words: "1905" becomes "nineteen oh-five"."""
    return integer_year_words(_parse_integer(text), language)


def integer_year_words(value: int, language: Language) -> str:
    """A year in words. In a language without a special form for years, the year is spoken as a plain number."""
    try:
        return language.number_words(value, "year")
    except ValueError:
        return _decimal_words(Decimal(value), language)


def currency_words(text: str, argument: str, language: Language) -> str:
    """An amount of money in words: "42.50", "42.50 EUR" or "€42.50" becomes "forty-two euros and fifty cents".

    The currency is the one in `text`, or else the code in `argument`, or else the currency of the language's
    territory.
    """
    found = _MONEY.fullmatch(text)
    if not found or (found[1] and found[3]) or (found[2] and found[5]) or len(found[4]) > _MAX_DIGITS:
        raise ValueError("write it as 42.50, 42.50 EUR or €42.50")
    code = found[2] or found[5] or argument or _territory_currency(language)
    code = _CURRENCY_SYMBOLS.get(code, code.upper())
    validate_currency(code)
    words = _amount_words(found[1] or found[3], Decimal(found[4]), code, language)
    return words.translate(_WITHOUT_BRACKETS)


def validate_currency(code: str) -> None:
    """Raise ValueError for a code that is not in ISO 4217."""
    from babel.numbers import is_currency

    if not is_currency(code):
        raise ValueError(f'"{code[:20]}" is no currency: give its code of three letters, such as EUR')


def _amount_words(sign: str, amount: Decimal, code: str, language: Language) -> str:
    from babel.numbers import format_currency, get_currency_name

    amount = _round(amount, code)
    sign = sign if amount else ""
    if not language.num2words_code:
        decimals = len(str(amount).partition(".")[2])
        return format_currency(
            -amount if sign in ("-", "\u2212") else amount,
            code,
            locale=language.locale,
            format="0." + "0" * decimals if decimals else "0",
            format_type="name",
            currency_digits=False,
        )
    parts = ""
    if code not in _MINOR_DIGITS or not amount % 1:
        parts = (
            _english_amount(amount, code, language)
            if language.english
            else _foreign_amount(amount, code, language)
        )
    if not parts:
        shown = amount if amount % 1 else Decimal(int(amount))
        name = get_currency_name(code, count=float(shown), locale=language.locale)
        parts = f"{_decimal_words(shown, language)} {name}"
    return _with_sign(sign, parts, language)


def _round(amount: Decimal, code: str) -> Decimal:
    """The amount, rounded to the decimals of its currency, but never to fewer than two.

    An amount such as 2.50 keeps its decimals even in a currency without decimals, so that no wrong amount is
    spoken. In such a currency only the last zeros are left out: 2.50 becomes 2.5, and 2.00 becomes 2.
    """
    digits = _MINOR_DIGITS.get(code, 2)
    amount = amount.quantize(Decimal(1).scaleb(-max(digits, 2)), ROUND_HALF_UP)
    return Decimal(f"{amount.normalize():f}") if digits == 0 else amount


def _english_amount(amount: Decimal, code: str, language: Language) -> str:
    """An amount in English words, such as dollars and cents; "" for a currency that `_ENGLISH_NAMES` lacks."""
    if code not in _ENGLISH_NAMES:
        return ""
    major, minor = int(amount), int(amount % 1 * 100)
    names = _ENGLISH_NAMES[code]
    parts = [f"{language.number_words(major)} {names[major != 1]}"] if major or not minor else []
    parts += [f"{language.number_words(minor)} {names[2 + (minor != 1)]}"] if minor else []
    return " and ".join(parts)


def _foreign_amount(amount: Decimal, code: str, language: Language) -> str:
    """An amount in words of a language other than English; "" if num2words lacks the currency."""
    from num2words import CONVERTER_CLASSES

    try:
        speak: Any = CONVERTER_CLASSES[language.num2words_code].to_currency
        words: str = speak(amount, currency=code, separator="|")
        joint = signature(speak).parameters["separator"].default
    except Exception:  # num2words raises many kinds of errors, mostly because it lacks the currency
        return ""
    words = " ".join(words.replace(",", "").split())  # removes commas, which a TTS engine would speak as pauses
    major, _, minor = (part.strip() for part in words.partition("|"))
    if not minor or not amount % 1:
        return major
    return " ".join(words.replace("|", joint).split()) if int(amount) else minor


def _territory_currency(language: Language) -> str:
    from babel.numbers import get_territory_currencies

    used = get_territory_currencies(language.territory)
    if not used:
        raise ValueError("say which currency it is in, as in {amount:currency:EUR}")
    return str(used[0])


def _parse_integer(text: str) -> int:
    if not re.fullmatch(rf"[0-9]{{1,{_MAX_DIGITS}}}", text):
        raise ValueError(f"write it as 21, with at most {_MAX_DIGITS} digits")
    return int(text)


def _decimal_words(value: Decimal, language: Language) -> str:
    """A number in words, or in digits if num2words has no words for numbers in the language.

    Each digit after the point becomes a word of its own, because num2words loses some of these digits.
    """
    whole, point, decimals = str(value).partition(".")
    if language.num2words_code and (language.decimal_point or not point):
        words = [
            language.number_words(int(whole)),
            *([language.decimal_point] if point else ()),
            *(language.number_words(int(d)) for d in decimals),
        ]
        return " ".join(words)
    from babel.numbers import format_decimal

    return format_decimal(value, locale=language.locale, group_separator=False, decimal_quantization=False)


def _with_sign(sign: str, words: str, language: Language) -> str:
    if sign not in ("-", "\u2212"):
        return words
    return f"{language.minus} {words}" if language.num2words_code else f"-{words}"
