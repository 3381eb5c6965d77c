#!/usr/bin/env bash
# One expects the RTP marker bit of a telephone-event (RFC 4733) on the FIRST
# packet of a digit: there it says that a new event begins.
# aiortp's DtmfSender leaves it off all packets of the key press and sets it
# on the first END packet.
# A receiver that opens a new digit at the marker sees a digit begin where it
# ends: it can miss the digit, count it twice, or take its start time wrong, and
# one that only uses time stamp and end bit sees nothing wrong.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check aiortp==0.8.0
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from aiortp.dtmf import DtmfSender
from aiortp.sender import RtpSender
print("aiortp", version("aiortp"))
print("expected: marker bits 1 0 0 0 0 0 0")

class Wire(list):
    def send(self, data, addr=None):
        self.append(data)

wire = Wire()
DtmfSender(RtpSender(wire, 0)).send_digit("5", 100, timestamp=1000)
marker = [p[1] >> 7 for p in wire]
end = [p[13] >> 7 for p in wire]
length = [int.from_bytes(p[14:16], "big") for p in wire]
print("seen: marker", *marker)
print("seen: end   ", *end)
print("seen: length", *length)
assert {p[12] for p in wire} == {5} and length == [160, 320, 480, 640, 800, 800, 800]
assert end == [0, 0, 0, 0, 1, 1, 1] and marker == [0, 0, 0, 0, 1, 0, 0], (end, marker)
E
