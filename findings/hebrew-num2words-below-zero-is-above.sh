#!/usr/bin/env bash
# Text for a Hebrew voice has its numbers made words first. One expects hebrew-num2words to read
# a minus before a number, and an amount with a separator of thousands as one number.
# The minus is dropped: five degrees below zero are read as five degrees. "1,234.50" is three
# numbers, with a comma and a point between them; 1.05 is "one five".
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check hebrew-num2words==0.1.0
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from hebrew_num2words import normalize_numbers

print("hebrew-num2words", version("hebrew-num2words"))
print("expected: -5 differs from 5; 1,234.50 is one number")
read = {text: normalize_numbers(text) for text in ("5 מעלות", "-5 מעלות", "1,234.50 ₪", "1.05")}
for text, words in read.items():
    print(f"seen: {text}: {words}")
assert read["-5 מעלות"] == read["5 מעלות"] == "חמש מעלות"
assert read["1,234.50 ₪"].count(",") == read["1,234.50 ₪"].count(".") == 1
assert read["1.05"] == "אחד חמש"
E
