#!/usr/bin/env bash
# A phone tree asks when the office is open. One expects "Sat 12am-6am" to be 0:00 to 6:00,
# "Fri-Mon" to be four days, and text that is not understood to raise an error, as it does for
# some ("Mon and Tue 9am-5pm").
# parse-opening-hours takes 12am for noon, and then 6am for six in the evening, as it is earlier.
# Of days that run over the week's end it keeps the first. And what stands behind the first days
# and times is left out without a word: "Mon-Fri 9am-5pm, Sat 10am-2pm" has no Saturday. From
# 1am on, and with noon ("12pm"), times are right, and so are the days from Monday to Sunday.
# The night line is open in the afternoon, and on Saturday callers hear that the office is closed.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check parse-opening-hours==0.4.2 pyparsing==3.3.3
"$T/v/bin/python" -W ignore - <<'E'
from importlib.metadata import version
from opening_hours import OpeningHours

print("parse-opening-hours", version("parse-opening-hours"))
nine_to_five = {day: f"{day} 9:00-17:00" for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")}
days = lambda *names: ", ".join(nine_to_five[n] for n in names)
week = {
    "Mon-Fri 9am-5pm": (days("mon", "tue", "wed", "thu", "fri"),) * 2,
    "Sat 9am-12pm": ("sat 9:00-12:00",) * 2,
    "Sat 1am-6am": ("sat 1:00-6:00",) * 2,
    "Sat 12am-6am": ("sat 0:00-6:00", "sat 12:00-18:00"),
    "Fri-Mon 9am-5pm": (days("fri", "sat", "sun", "mon"), days("fri")),
    "Mon 9am-5pm, Tue 10am-7pm": (days("mon") + ", tue 10:00-19:00", days("mon")),
    "Mon-Tue 9am-5pm; Sat 10am-2pm": (days("mon", "tue") + ", sat 10:00-14:00", days("mon", "tue")),
}
for text, (expected, known) in week.items():
    seen = ", ".join(f"{d['day'][:3]} {d['opens']}-{d['closes']}" for d in OpeningHours.parse(text).json())
    print(f"{text}: expected {expected}; seen {seen}")
    assert seen == known, (seen, known)
E
