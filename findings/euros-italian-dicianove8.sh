#!/usr/bin/env bash
# A cheque or a voice that tells an amount in words has words only. One expects "diciannove euro" for 19,
# "quattro" for 4, and "un euro" for 1; in French "deux mille cent euros" for 2100, since "cent" has an s only if
# multiplied. The Italian of euros says "dicianove8 euro" for 19 and for all that end so: the next digit hangs on
# the word as a figure, and an n is missing. 4 is "quatro", while 14 and 24 are right; 1 is "uno euro". Its
# French writes "deux mille cents euros" for 2100, as it does for each 100 behind thousands. English is right. A
# synthetic voice reads "diciannove otto euro": the customer hears 19.8 or 198, once in a hundred amounts, and
# the same in the cents, where 19 comes with every price in .19.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check euros==2.0.1
"$T/v/bin/python" - <<'E'
from importlib.metadata import version

from euros import en, fr, it

print("euros", version("euros"))
for language, amount, expected, seen in (
    (it, 19, "diciannove euro", "dicianove8 euro"),
    (it, 5.19, "cinque euro e diciannove centesimi", "cinque euro e dicianove8 centesimi"),
    (it, 119000, "centodiciannovemila euro", "centodicianove8mila euro"),
    (it, 18, "diciotto euro", "diciotto euro"),
    (it, 4, "quattro euro", "quatro euro"),
    (it, 24, "ventiquattro euro", "ventiquatro euro"),
    (it, 14, "quattordici euro", "quattordici euro"),
    (it, 1, "un euro", "uno euro"),
    (fr, 100, "cent euros", "cent euros"),
    (fr, 1100, "mille cent euros", "mille cents euros"),
    (fr, 2100, "deux mille cent euros", "deux mille cents euros"),
    (fr, 19, "dix-neuf euros", "dix-neuf euros"),
    (en, 19, "nineteen euros", "nineteen euros"),
):
    got = language.conv(amount)
    print(f"{language.__name__} {amount}: expected {expected}; seen {got}")
    assert got == seen
figures = [n for n in range(1, 1000) if any(c.isdigit() for c in it.conv(n))]
print("expected: no amount with a figure in its words; seen:", *figures)
assert figures == list(range(19, 1000, 100))
E
