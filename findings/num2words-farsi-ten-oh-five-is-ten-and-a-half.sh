#!/usr/bin/env bash
# Amounts and measures are read to callers in Persian from num2words. One expects 10.05
# as ten and five hundredths, as 10.25 is read as ten and twenty-five hundredths.
# 10.05 and 10.005 are read as 10.5 is: ten and a half. A lone 5 behind the point is "a half",
# whatever its place. The tenfold difference is heard, and the text looks right.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check num2words==0.5.14
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from num2words import num2words

print("num2words", version("num2words"))
read = {number: num2words(number, lang="fa") for number in (10.25, 10.5, 10.05, 10.005, 10.03)}
print("expected: 10.05, 10.005 and 10.5 are read differently")
for number, words in read.items():
    print(f"seen: {number}: {words}")
assert read[10.25] == "ده و بیست و پنج صدم" and read[10.03] == "ده و سه صدم"
assert read[10.5] == read[10.05] == read[10.005] == "ده و نیم"
E
