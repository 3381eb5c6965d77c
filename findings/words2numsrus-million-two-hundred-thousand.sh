#!/usr/bin/env bash
# In Russian one says "миллион двести тысяч" (million two hundred thousand) for 1 200 000,
# and dials "восемь девятьсот двенадцать ..." for 8 912 ... One expects a package that turns
# such words into figures to give 1200000, and the digits one behind the other, or at least
# each of them. words2numsrus gives 1000200000 where the million has no "один" before it; with
# "один миллион" it is right. Of numbers that follow one upon the other it makes one small
# number: "8 912" is 20, "пять пять пять" is 10, and a whole phone number is 72. There is no
# error. A sum is a thousand times too big, and a number or PIN that a caller has said is gone.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check words2numsrus==0.1.0 natasha==0.10.0 yargy==0.12.0 "setuptools<81"
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from words2numsrus import NumberExtractor
print("words2numsrus", version("words2numsrus"))
print("expected: 1200000, and all digits that were said")
extractor = NumberExtractor()
for said, told in (("один миллион двести тысяч", "1200000"), ("миллион двести тысяч", "1000200000"),
                   ("миллион сто тысяч рублей", "1000100000 рублей"), ("тысяча двести", "1200"),
                   ("пять пять пять", "10"), ("восемь девятьсот двенадцать", "20"),
                   ("номер восемь девятьсот двенадцать триста сорок пять шестьдесят семь", "номер 72")):
    got = extractor.replace_groups(said)
    print(f"seen: {said}: {got}")
    assert got == told
E
