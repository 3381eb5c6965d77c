#!/usr/bin/env bash
# A decimal number's digits behind the comma are read in their places. One expects num2words to
# say a Vietnamese 10.05 as "mười phẩy không năm" (ten comma zero five), and -0.5 with its minus.
# It says "mười phẩy năm", which is 10.5 to whoever hears it; 10.5 itself is "mười phẩy năm mươi"
# (ten comma fifty), 10.005 is "mười phẩy một" (10.1), and -0.5 has no minus at all.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check num2words==0.5.14
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from num2words import num2words

print("num2words", version("num2words"))
read = {number: num2words(number, lang="vi") for number in (10.25, 10.05, 10.5, 10.005, 0.5, -0.5)}
print("expected: 10.05 has a zero (không) behind the comma (phẩy), -0.5 a minus (âm or trừ)")
for number, words in read.items():
    print(f"seen: {number}: {words}")
assert read[10.05] == "mười phẩy năm" and read[10.5] == "mười phẩy năm mươi"
assert read[10.005] == "mười phẩy một"
assert read[-0.5] == read[0.5]
E
