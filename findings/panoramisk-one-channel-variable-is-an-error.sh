#!/usr/bin/env bash
# Asterisk tells the variables that manager.conf lists in channelvars with each event:
# one line "ChanVariable: NAME=value" for each. panoramisk's getdict makes a dict of
# them. One expects a dict of one entry where one variable is listed, which is what most
# have. It raises TypeError: only a header that comes twice is a list. The day on which a
# second variable is listed, it works.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check panoramisk==1.4
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from panoramisk.message import Message
print("panoramisk", version("panoramisk"))
print("expected: a dict of one, and of two variables")

def variables(*lines):
    event = Message.from_line("\r\n".join(["Event: Newexten", "Channel: PJSIP/100-00000001", *lines]))
    try:
        return dict(event.getdict("ChanVariable"))
    except TypeError as error:
        return str(error)

one, two = "ChanVariable: CALLID=abc", "ChanVariable: QUEUE=sales"
print(f"seen: one: {variables(one)}")
print(f"seen: two: {variables(one, two)}")
assert variables(one) == "ChanVariable must be a list. got CALLID=abc"
assert {key.lower(): value for key, value in variables(one, two).items()} == {"callid": "abc", "queue": "sales"}
E
