"""Numbers, ordinals, years and money in words.

Amounts are written as programs write them: digits, and a point before the decimals. In languages that num2words
does not know, digits are left for the engine to read.
"""

import re
from decimal import ROUND_HALF_UP, Decimal
from inspect import signature
from typing import Any

from mediaserver.speech.text.languages import Language

_DIGITS = 18  # of a number, at most
_NUMBER = re.compile(r"([-+\u2212]?)([0-9]+(?:\.[0-9]+)?)")
_MONEY = re.compile(
    r"([-+\u2212]?)\s*([A-Za-z]{3}|[$€£¥₩₹])?\s*([-+\u2212]?)([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]{3}|[$€£¥₩₹])?"
)
_SYMBOLS = {"$": "USD", "€": "EUR", "£": "GBP", "¥": "JPY", "₩": "KRW", "₹": "INR"}
_DOLLAR = ("dollar", "dollars", "cent", "cents")
_ENGLISH = {  # as people say it; CLDR has "US dollars" and no cents
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


def number(text: str, argument: str, language: Language) -> str:
    """ "-12.5" -> "minus twelve point five"."""
    found = _NUMBER.fullmatch(text)
    if not found or len(found[2]) > _DIGITS:
        raise ValueError(f"write it as -1234.5, with at most {_DIGITS} digits")
    return _signed(found[1], _cardinal(Decimal(found[2]), language), language)


def ordinal(text: str, argument: str, language: Language) -> str:
    """ "21" -> "twenty-first"."""
    return language.words(_whole(text), "ordinal")


def year(text: str, argument: str, language: Language) -> str:
    """ "1905" -> "nineteen oh-five"."""
    return year_words(_whole(text), language)


def year_words(value: int, language: Language) -> str:
    """A year as it is said; as a number where the language makes no difference."""
    try:
        return language.words(value, "year")
    except ValueError:
        return _cardinal(Decimal(value), language)


def currency(text: str, argument: str, language: Language) -> str:
    """ "42.50", "42.50 EUR", "€42.50" -> "forty-two euros and fifty cents"; a value's own currency counts."""
    found = _MONEY.fullmatch(text)
    if not found or (found[1] and found[3]) or (found[2] and found[5]) or len(found[4]) > _DIGITS:
        raise ValueError("write it as 42.50, 42.50 EUR or €42.50")
    code = found[2] or found[5] or argument or _currency_of(language)
    code = _SYMBOLS.get(code, code.upper())
    check_currency(code)
    return _money(found[1] or found[3], Decimal(found[4]), code, language)


def check_currency(code: str) -> None:
    """ValueError for what is no code of ISO 4217."""
    from babel.numbers import is_currency

    if not is_currency(code):
        raise ValueError(f'"{code[:20]}" is no currency: give its code of three letters, such as EUR')


def _money(sign: str, amount: Decimal, code: str, language: Language) -> str:
    from babel.numbers import format_currency, get_currency_name, get_currency_precision

    places = get_currency_precision(code)
    amount = amount.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    sign = sign if amount else ""
    if not language.numbers:
        signed = -amount if sign in ("-", "\u2212") else amount
        return format_currency(signed, code, locale=language.locale, format_type="name", group_separator=False)
    parts = ""
    if places == 2 or not amount % 1:
        parts = _english(amount, code, language) if language.english else _foreign(amount, code, language)
    if not parts:
        plain = amount if amount % 1 else Decimal(int(amount))
        name = get_currency_name(code, count=float(plain), locale=language.locale)
        parts = f"{_cardinal(plain, language)} {name}"
    return _signed(sign, parts, language)


def _english(amount: Decimal, code: str, language: Language) -> str:
    """Dollars and cents; "" for a currency without words of its own."""
    if code not in _ENGLISH:
        return ""
    major, minor = int(amount), int(amount % 1 * 100)
    names = _ENGLISH[code]
    parts = [f"{language.words(major)} {names[major != 1]}"] if major or not minor else []
    parts += [f"{language.words(minor)} {names[2 + (minor != 1)]}"] if minor else []
    return " and ".join(parts)


def _foreign(amount: Decimal, code: str, language: Language) -> str:
    """As num2words says it, less what is zero; "" for what it cannot."""
    from num2words import CONVERTER_CLASSES

    try:
        speak: Any = CONVERTER_CLASSES[language.numbers].to_currency
        words: str = speak(amount if amount % 1 else float(amount), currency=code, separator="|")
        joint = signature(speak).parameters["separator"].default
    except Exception:  # num2words raises what it likes, and most languages know few currencies
        return ""
    major, _, minor = (part.strip() for part in words.partition("|"))
    if not minor or not amount % 1:
        return major
    return " ".join(words.replace("|", joint).split()) if int(amount) else minor


def _currency_of(language: Language) -> str:
    from babel.numbers import get_territory_currencies

    used = get_territory_currencies(language.territory)
    if not used:
        raise ValueError("say which currency it is in, as in {amount:currency:EUR}")
    return str(used[0])


def _whole(text: str) -> int:
    if not re.fullmatch(rf"[0-9]{{1,{_DIGITS}}}", text):
        raise ValueError(f"write it as 21, with at most {_DIGITS} digits")
    return int(text)


def _cardinal(value: Decimal, language: Language) -> str:
    """Words, and decimals one by one (of which num2words loses some); digits where there are no words."""
    whole, point, decimals = str(value).partition(".")
    if language.numbers and (language.point or not point):
        said = [
            language.words(int(whole)),
            *([language.point] if point else ()),
            *(language.words(int(d)) for d in decimals),
        ]
        return " ".join(said)
    from babel.numbers import format_decimal

    return format_decimal(value, locale=language.locale, group_separator=False, decimal_quantization=False)


def _signed(sign: str, words: str, language: Language) -> str:
    if sign not in ("-", "\u2212"):
        return words
    return f"{language.minus} {words}" if language.numbers else f"-{words}"
