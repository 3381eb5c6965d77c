#!/usr/bin/env bash
# A Kuwaiti, Bahraini, Jordanian, Iraqi or Tunisian dinar and an Omani rial have 1000
# parts: ISO 4217 gives them three decimals. One expects 1.250 dinars to be "one
# dinar and 250 fils" wherever num2words has words for fils.
# In Spanish it says 25 fils, and one fils for 1.010; in Arabic it says 25 fils of
# the Kuwaiti dinar, though it knows the 1000 parts of the Tunisian one.
# A bill of 1.250 is heard as 1.025.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check num2words==0.5.14
"$T/v/bin/python" - <<'E'
from decimal import Decimal
from importlib.metadata import version
from num2words import num2words
print("num2words", version("num2words"))
print("expected: 250 and 10 parts")
say = lambda amount, currency, lang: num2words(Decimal(amount), lang=lang, to="currency", currency=currency)
for currency, part in (("KWD", "fils"), ("BHD", "fils"), ("IQD", "fils"), ("OMR", "baisa"), ("TND", "milésimos")):
    more, less = say("1.250", currency, "es"), say("1.010", currency, "es")
    print(f"seen: {currency}: 1.250 is \"{more}\", 1.010 is \"{less}\"")
    assert more.endswith(f"con veinticinco {part}") and less == more.replace("veinticinco", "un").replace("milésimos", "milésimo"), (more, less)
kuwait, tunis = say("1.250", "KWD", "ar"), say("1.250", "TND", "ar")
few, hundreds = num2words(25, lang="ar"), num2words(250, lang="ar")
print(f"seen: in Arabic: KWD \"{kuwait}\", TND \"{tunis}\"; 25 is \"{few}\", 250 is \"{hundreds}\"")
assert hundreds in tunis and hundreds not in kuwait
assert kuwait == say("1.25", "KWD", "ar")
E
