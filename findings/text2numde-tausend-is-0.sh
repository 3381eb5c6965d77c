#!/usr/bin/env bash
# "tausend", "a thousand", "eine Million": who speaks leaves out the "one" before it, or says "a". One expects a
# library that turns spoken numbers into figures to read 1000, as it does for "eintausend", or to leave the word
# as it stands. text2numde multiplies what stands before by 1000, and where nothing does that is zero: "tausend
# Euro" becomes "0 Euro", "tausendfünfhundert Euro" 500, "eine Million" "eine 0". "hundert" stays a word, and
# "eintausend" is right. wordtodigits, for English, does the same with "a hundred", "a thousand" and "half a
# million", and with all that follows. There is no error: a bot that hears "I owe a thousand" books 0, and a
# transcript says 200 for "a thousand two hundred".
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check text2numde==1.0 wordtodigits==1.0.2
"$T/v/bin/python" - <<'E'
from importlib.metadata import version

import wordtodigits
from text2numde import sentence2num, text2num

for name in ("text2numde", "wordtodigits"):
    print(name, version(name))
for read, text, expected, seen in (
    (text2num, "tausend", 1000, 0),
    (text2num, "eintausend", 1000, 1000),
    (text2num, "tausendeins", 1001, 1),
    (text2num, "eintausendeins", 1001, 1001),
    (sentence2num, "Das kostet tausend Euro.", "Das kostet 1000 Euro.", "Das kostet 0 Euro."),
    (sentence2num, "Das kostet tausendfünfhundert Euro.", "Das kostet 1500 Euro.", "Das kostet 500 Euro."),
    (sentence2num, "Das kostet eine Million Euro.", "Das kostet 1000000 Euro.", "Das kostet eine 0 Euro."),
    (sentence2num, "Das kostet zweitausend Euro.", "Das kostet 2000 Euro.", "Das kostet 2000 Euro."),
    (sentence2num, "Das kostet hundert Euro.", "Das kostet 100 Euro.", "Das kostet hundert Euro."),
    (wordtodigits.convert, "I owe one thousand dollars", "I owe 1000 dollars", "I owe 1000 dollars"),
    (wordtodigits.convert, "I owe a thousand dollars", "I owe 1000 dollars", "I owe a 0 dollars"),
    (wordtodigits.convert, "a thousand two hundred", "1200", "a 200"),
    (wordtodigits.convert, "a hundred and fifty", "150", "a 50"),
    (wordtodigits.convert, "half a million", "500000", "half a 0"),
):
    got = read(text)
    print(f"{text}: expected {expected}; seen {got}")
    assert got == seen
E
