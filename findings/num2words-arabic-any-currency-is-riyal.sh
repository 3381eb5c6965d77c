#!/usr/bin/env bash
# One expects num2words to raise NotImplementedError for a currency that it has
# no words for in a language, as its base class does ("Currency code ... not
# implemented for ...") and as it does for yen in English.
# In Arabic it speaks each currency but a few as Saudi riyals and halalas,
# without an error: 12.50 US dollars, euros and pounds, and a code that is no
# currency at all, are all "twelve riyals and fifty halalas".
# A caller hears the right figure in another currency: a price off by a factor of four.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check num2words==0.5.14
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from num2words import num2words
print("num2words", version("num2words"))
print("expected: NotImplementedError, or dollars in dollars")

def amount(currency, lang):
    try:
        return num2words(12.5, lang=lang, to="currency", currency=currency)
    except NotImplementedError as error:
        return f"NotImplementedError: {error}"

riyals = amount("SAR", "ar")
for currency in ("USD", "EUR", "GBP", "JPY", "XXX"):
    seen = amount(currency, "ar")
    print(f"seen: 12.5 {currency}: \"{seen}\"")
    assert seen == riyals
print(f"seen: 12.5 JPY in English: {amount('JPY', 'en')}")
assert amount("JPY", "en").startswith("NotImplementedError")
assert amount("KWD", "ar") != riyals
E
