#!/usr/bin/env bash
# A temperature or a balance below zero is read to a caller in Vietnamese. One expects vnnum2word
# to say a minus, or to refuse what it cannot say.
# It takes the minus for the digit of the tens: -5 is "mười lăm", fifteen. -21 is refused, with an
# IndexError. Behind the comma, zeros go the same quiet way: 1.05 is read as 1.5 is.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check vnnum2word==0.3.0
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from vnnum2word import convert_number

print("vnnum2word", version("vnnum2word"))
print("expected: -5 with a minus, or an error; 1.05 and 1.5 read differently")
read = {number: convert_number(number) for number in (5, 15, -5, 1.5, 1.05)}
for number, words in read.items():
    print(f"seen: {number}: {words}")
assert read[-5] == read[15] == "mười lăm" and read[5] == "năm"
assert read[1.05] == read[1.5] == "một phẩy năm"
try:
    convert_number(-21)
except IndexError as error:
    print("seen: -21: IndexError:", error)
else:
    raise SystemExit("-21 is read now")
E
