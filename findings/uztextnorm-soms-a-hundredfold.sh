#!/usr/bin/env bash
# Uzbek writes the decimal comma, as Russian does: 1 234,50 so'm are 1234 and a half. One expects
# uztextnorm, which makes such text ready for a voice, to read it so; it reads "0,5 litr" as half.
# In an amount of so'm the comma is dropped: 1,05 so'm are 105 so'm, and 1 234,50 so'm are 123450,
# a hundred times the balance. With a point, it reads the hundredths as tenths: 10.05 is "o'n butun besh".
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check uztextnorm==0.6.0
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from uztextnorm import UzbekTextNormalizer

print("uztextnorm", version("uztextnorm"))
normalize = UzbekTextNormalizer().normalize
print("expected: a comma begins the decimals: 1 234,50 so'm begins with bir ming (one thousand)")
texts = ("0,5 litr", "105 so'm", "1,05 so'm", "123450 so'm", "1 234,50 so'm", "10.05")
read = {text: normalize(text) for text in texts}
for text, words in read.items():
    print(f"seen: {text}: {words}")
assert read["0,5 litr"] == "yarim litr"
assert read["1,05 so'm"] == read["105 so'm"]
assert read["1 234,50 so'm"] == read["123450 so'm"]
assert read["10.05"] == "o'n butun besh"
E
