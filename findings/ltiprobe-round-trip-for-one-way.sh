#!/usr/bin/env bash
# The E-model (G.107) makes a mean opinion score of a call's delay and loss. Its delay is one way, from mouth to ear,
# and its impairment by loss grows from 0 on. A ping measures a round trip. One expects a tool that says "MOS (ITU-T
# G.107)", and takes "the round-trip ICMP latency", to halve it, and one lost packet of ten thousand to cost next to
# nothing: 95 * P / (P + Bpl) is 0.04 of R, with the Bpl of 25 for G.711 that the tool names.
# ltiprobe puts the whole round trip into the formula for one way: 300 ms there and back are scored like 300 ms one way,
# R 72.5 for 89.6. And any loss at all costs 7 of R at once: 0.01 % makes 92.7 into 85.7, where 3 % then
# cost 11 more. Without loss and with short delays the score is right.
# A line that is good for calls is reported as poor, and a threshold of the MOS alarms at the first lost ping.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check --no-deps ltiprobe==1.6.1
"$T/v/bin/python" - <<'E'
import sys
import types
from importlib.metadata import version

# The score needs none of what the package imports for its reports.
for name in ("hdrh", "hdrh.histogram", "yaml"):
    sys.modules[name] = types.ModuleType(name)
sys.modules["hdrh.histogram"].HdrHistogram = None
from ltiprobe.core import calculer_mos

print("ltiprobe", version("ltiprobe"))
for round_trip, loss, seen_r, seen_mos in ((20, 0, 92.7, 4.4), (200, 0, 85.9, 4.23), (300, 0, 72.5, 3.71), (400, 0, 59.1, 3.05),
                                           (20, 0.01, 85.7, 4.22), (20, 3, 74.6, 3.8)):
    delay = round_trip / 2
    r = 93.2 - 0.024 * delay - 0.11 * max(0, delay - 177.3) - 95 * loss / (loss + 25)
    mos = 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6
    seen = calculer_mos(round_trip, 0, loss)
    print(f"{round_trip} ms there and back, {loss} % lost: expected R {r:.1f}, MOS {mos:.2f}; "
          f"seen R {seen['r_factor']}, MOS {seen['mos']}, {seen['qualite']}")
    assert (seen["r_factor"], seen["mos"]) == (seen_r, seen_mos), seen
E
