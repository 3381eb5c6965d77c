#!/usr/bin/env bash
# phone-iso3166 tells a number's country by its prefix, islands included: the Northern
# Marianas (+1 670), Curaçao (+599 9) and the Antarctic bases (+672 1) are known. One
# expects their neighbours in the same numbering zones to be told apart as well.
# Guam (+1 671) is the United States, Bonaire (+599 7) is Curaçao, and the two thousand
# people of Norfolk Island (+672 3) live in Antarctica. phonenumbers has all of them.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check phone-iso3166==0.4.1 phonenumbers==9.0.20
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
import phonenumbers
from phone_iso3166.country import phone_country
print("phone-iso3166", version("phone-iso3166"), "phonenumbers", version("phonenumbers"))
print("expected: the same country from both")

def countries(number):
    region = phonenumbers.region_code_for_number(phonenumbers.parse(number))
    print(f"seen: {number}: {phone_country(number)}, and {region} by phonenumbers")
    return phone_country(number), region

assert countries("+16702345678") == ("MP", "MP")
assert countries("+16716874321") == ("US", "GU")
assert countries("+59994351234") == ("CW", "CW")
assert countries("+5997151234") == ("CW", "BQ")
assert countries("+672322222") == ("AQ", "NF")
E
