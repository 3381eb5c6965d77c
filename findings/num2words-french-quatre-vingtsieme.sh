#!/usr/bin/env bash
# In French the ordinal is made from the cardinal without its plural "s": 80th is
# "quatre-vingtième", 200th "deux centième" (Académie française, and the rules
# that num2words follows for the cardinals "quatre-vingts" and "deux cents").
# num2words leaves the "s" in and hangs the ending on it: "quatre-vingtsième",
# "deux centsième", "deux millionsième"; 81st and 201st are right. n2words on
# npm says "quatre-vingtième".
# An engine speaks the "s": the 80th in a queue, and the 80th, 180th, 200th of anything,
# are no French words.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check num2words==0.5.14
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from num2words import num2words
print("num2words", version("num2words"))
print("expected: quatre-vingtième, cent quatre-vingtième, deux centième, deux millionième")
for number, words in ((80, "quatre-vingtsième"), (180, "cent quatre-vingtsième"), (200, "deux centsième"),
                      (2000000, "deux millionsième"), (81, "quatre-vingt-unième"), (201, "deux cent unième")):
    seen = num2words(number, lang="fr", to="ordinal")
    print(f"seen: {number}: {seen}")
    assert seen == words
E
