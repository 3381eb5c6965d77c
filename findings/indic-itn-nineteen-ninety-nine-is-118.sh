#!/usr/bin/env bash
# A recogniser's words are made digits again: a caller gives a year, or a time. One expects
# indic-itn's English to write "nineteen ninety nine" as 1999, or as 19 99, since "nineteen eighty"
# and its like are how years are said.
# It adds the two: 118. "Half past three" is "1/2 past 3", and "quarter to three" is "1/4 to 3".
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check indic-itn==0.3.3
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from indic_itn import EnglishITN

print("indic-itn", version("indic-itn"))
normalize = EnglishITN().normalize
texts = ("double five six", "nineteen ninety nine", "nineteen eighty four", "half past three", "quarter to three")
read = {text: normalize(text) for text in texts}
print("expected: the year's digits, 3:30 and 2:45, or the words as they are")
for text, written in read.items():
    print(f"seen: {text}: {written}")
assert read["double five six"] == "556"
assert read["nineteen ninety nine"] == "118" and read["nineteen eighty four"] == "103"
assert read["half past three"] == "1/2 past 3" and read["quarter to three"] == "1/4 to 3"
E
