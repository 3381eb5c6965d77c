#!/usr/bin/env bash
# One expects the telephone-events of two digits not to overlap: RFC 4733 has the
# time stamp say where a digit begins, and the duration, in the same units, how long it lasts
# (2.1, 2.3.5). And one expects the end to be sent three times, the same each time (2.5.1.4).
# dtmf-py begins each digit 160 units (20 ms) after the one before, which
# lasts 1440 units (180 ms), and sends the end twice, with 1280 and with 1440 units.
# A receiver that places digits by their time stamps, to cut them out of a
# recording or to measure the pause between them, finds them on top of each other.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check dtmf-py==0.1.3 rtp==0.0.4
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from dtmf_py.dtmf import DTMF
print("dtmf-py", version("dtmf-py"), "rtp", version("rtp"))
print("expected: a digit begins where the one before it has ended, three equal ends")
packets = DTMF.make_numbers_packets("123")
digits = {}
for p in packets:
    digits.setdefault(p[12], []).append((int.from_bytes(p[4:8], "big"), int.from_bytes(p[14:16], "big"), p[13] >> 7))
for digit, events in digits.items():
    starts, ends = {start for start, _, _ in events}, [length for _, length, end in events if end]
    print(f"seen: digit {digit} from {min(starts)} to {min(starts) + events[-1][1]}, ends with durations {ends}")
    assert len(starts) == 1 and ends == [1280, 1440]
assert [events[0][0] for events in digits.values()] == [1, 161, 321]
E
