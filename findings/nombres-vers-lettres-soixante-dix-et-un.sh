#!/usr/bin/env bash
# In Switzerland 70, 80 and 90 are "septante", "huitante" (or "quatre-vingts") and "nonante": 71 is
# "septante-et-un". One expects of a library that has Switzerland beside France and Belgium that it says so, or
# says what France says. nombres-vers-lettres says "soixante-dix" and "quatre-vingt-dix" for fr_CH as if they
# were tens like any other, and adds the units: 71 is "soixante-dix-et-un", 75 "soixante-dix-cinq", 92
# "quatre-vingt-dix-deux". Nobody speaks so in any country. 80 to 89 are right, and so are fr_FR and fr_BE. A
# caller hears "soixante-dix deux", 70 and 2, where the amount, the code or the pair of figures of a telephone
# number is 72: twelve of a hundred numbers are so, and the other eight from 70 to 99 are the French ones.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check nombres-vers-lettres==1.0.4
"$T/v/bin/python" - <<'E'
from importlib.metadata import version

from nombres_vers_lettres import make_letters

print("nombres-vers-lettres", version("nombres-vers-lettres"))
for language, number, expected, seen in (
    ("fr_FR", 71, "soixante-et-onze", "soixante-et-onze"),
    ("fr_FR", 92, "quatre-vingt-douze", "quatre-vingt-douze"),
    ("fr_BE", 71, "septante-et-un", "septante-et-un"),
    ("fr_BE", 92, "nonante-deux", "nonante-deux"),
    ("fr_CH", 70, "septante", "soixante-dix"),
    ("fr_CH", 71, "septante-et-un", "soixante-dix-et-un"),
    ("fr_CH", 75, "septante-cinq", "soixante-dix-cinq"),
    ("fr_CH", 81, "huitante-et-un", "huitante-et-un"),
    ("fr_CH", 92, "nonante-deux", "quatre-vingt-dix-deux"),
    ("fr_CH", 99, "nonante-neuf", "quatre-vingt-dix-neuf"),
    ("fr_CH", 270, "deux-cent-septante", "deux-cent-soixante-dix"),
):
    got = make_letters(number, language=language)
    print(f"{language} {number}: expected {expected}; seen {got}")
    assert got == seen
swiss, french = ([make_letters(n, language=language) for n in range(100)] for language in ("fr_CH", "fr_FR"))
wrong = [n for n in range(100) if "dix-" in swiss[n] and swiss[n] != french[n]]
print("seen: neither Swiss nor French:", *wrong)
assert wrong == [71, 72, 73, 74, 75, 76, 91, 92, 93, 94, 95, 96]
E
