#!/usr/bin/env bash
# "Ожидание 2 минуты" is what every queue says. Russian numbers agree with the gender of what they
# count: две минуты, двадцать одна минута. One expects rutextnorm, whose summary promises case
# agreement, to know that a minute is feminine; written short, as 1 мин, it does.
# Written out, it says "два минуты" and "двадцать один минута". Hours of an interval stay in the
# nominative, too: с 9:00 до 18:00 is "с девять часов".
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check rutextnorm==2.1.0
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from rutextnorm import normalize_russian

print("rutextnorm", version("rutextnorm"))
print("expected: две минуты, двадцать одна минута, с девяти часов")
read = {text: normalize_russian(text) for text in ("1 мин", "2 минуты", "21 минута", "с 9:00 до 18:00")}
for text, words in read.items():
    print(f"seen: {text}: {words}")
assert read["1 мин"] == "одна минута"
assert read["2 минуты"] == "два минуты" and read["21 минута"] == "двадцать один минута"
assert read["с 9:00 до 18:00"].startswith("с девять часов")
E
