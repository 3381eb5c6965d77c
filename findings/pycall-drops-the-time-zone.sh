#!/usr/bin/env bash
# Asterisk places the call of a call file when the file's modification time has come. pycall sets
# it from a datetime, "the date and time to spool this call file". One expects an aware datetime
# to be the moment that it is, in whatever zone it is written, as its own timestamp() says.
# pycall drops the zone, and takes the digits for the server's local time: noon in UTC is 16:00
# UTC on a server in New York, in summer, and noon in Mumbai is five and a half hours late on a
# server in UTC. Naive datetimes are right. A reminder for nine in the morning, kept in UTC as
# databases do, rings at another hour of the right day, and with no error.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check pycall==2.3.2 path.py==12.5.0 path==16.0.0
T=$T "$T/v/bin/python" - <<'E'
import os, pathlib, time
from datetime import datetime, timedelta, timezone
from importlib.metadata import version

from pycall import Application, Call, CallFile

print("pycall", version("pycall"))
spool = pathlib.Path(os.environ["T"], "outgoing")
spool.mkdir()
noon = datetime(2031, 7, 1, 12)
moments = {"UTC": noon.replace(tzinfo=timezone.utc), "India": noon.replace(tzinfo=timezone(timedelta(hours=5.5))), "none": noon}
seen = {}
for server, zone in (("New York", "EST5EDT,M3.2.0,M11.1.0"), ("UTC", "UTC0")):
    os.environ["TZ"] = zone
    time.tzset()
    for name, moment in moments.items():
        file = CallFile(Call("PJSIP/100"), Application("Playback", "beep"), spool_dir=str(spool))
        file.spool(moment)
        late = ((spool / file.filename).stat().st_mtime - moment.timestamp()) / 3600
        print(f"server in {server}, zone of the datetime {name}: expected 0 h late, seen {late:g}")
        seen[server, name] = late
assert seen == {
    ("New York", "UTC"): 4, ("New York", "India"): 9.5, ("New York", "none"): 0,
    ("UTC", "UTC"): 0, ("UTC", "India"): 5.5, ("UTC", "none"): 0,
}, seen
E
