#!/usr/bin/env bash
# A phone tree has opening hours for the sales line, and others for the night line. One expects two objects of a
# class OpeningHours to have their own hours, and Friday 22:00 to 02:00 to be open at 23:00.
# human-friendly-opening-hours keeps all hours in one list for the whole process: whatever one object is given, all
# objects are open then and describe it, also those that were made before, and new ones without any hours. A
# span over midnight is never open, though its description reads "Friday: 22:00 to 02:00".
# Callers on the sales line are put through at night, and the night line says that it is closed. With one
# office that closes before midnight, as in the example, all is well.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check human-friendly-opening-hours==0.0.6
"$T/v/bin/python" - <<'E'
from datetime import datetime, time
from importlib.metadata import version

from human_friendly_opening_hours import Opening, OpeningHours, Weekdays

print("human-friendly-opening-hours", version("human-friendly-opening-hours"))
sales, night = OpeningHours(), OpeningHours()
sales.add_opening(Opening(Weekdays.mon, time(9), time(17)))
described = lambda hours: "; ".join(map(str, hours.opening_hours_description()))
monday_ten, monday_late, friday_late = datetime(2031, 7, 7, 10), datetime(2031, 7, 7, 20), datetime(2031, 7, 11, 23)

def show(what, expected, seen, known):
    print(f"{what}: expected {expected}, seen {seen}")
    assert seen == known, seen

show("sales", "Monday: 09:00 to 17:00", described(sales), "Monday: 09:00 to 17:00")
show("night line, without hours", "", described(night), "Monday: 09:00 to 17:00")
show("night line, Monday at 10:00", False, night.is_open(monday_ten), True)
night.add_opening(Opening(Weekdays.mon, time(19), time(23)))
show("sales, Monday at 20:00", False, sales.is_open(monday_late), True)
night.add_opening(Opening(Weekdays.fri, time(22), time(2)))
show("night line, Friday at 23:00", True, night.is_open(friday_late), False)
show("night line, Saturday at 1:00", True, night.is_open(datetime(2031, 7, 12, 1)), False)
E
