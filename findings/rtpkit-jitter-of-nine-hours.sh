#!/usr/bin/env bash
# The timestamps of RTP begin anywhere and go round at 2^32; RFC 3550, A.8, has the differences of transit times
# taken modulo 2^32. One expects a call whose packets come each 20 ms sharp to have no jitter, whatever its
# timestamps. rtpkit unwraps the sequence numbers, but not the timestamps: at the wrap its jitter jumps from 0 to
# 268 million units, which are over 9 hours at 8 kHz, and takes some 5 seconds to fall below 20 ms again. A call
# that ends in between is reported so. There is no error, and loss and order are right. Of calls of ten minutes
# at 8 kHz one in 900 meets the wrap, and of Opus calls, at 48 kHz, one in 150. A watch on the quality of calls
# raises an alarm for calls that are faultless, and a mean or a maximum over a day is worth nothing.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check rtpkit==0.3.0
"$T/v/bin/python" - <<'E'
import struct
from importlib.metadata import version

from rtpkit import RtpStreamTracker, parse_rtp

print("rtpkit", version("rtpkit"))


def jitters(start, packets):
    """The jitter in ms after each packet of mu-law, one each 20 ms."""
    tracker, seen = RtpStreamTracker(), []
    for n in range(packets):
        header = struct.pack(">BBHII", 128, 0, n, (start + 160 * n) % 2**32, 7)
        tracker.observe(parse_rtp(header + b"\xff" * 160), n / 50, 8000)
        seen.append(tracker.stats(7).jitter / 8)
    assert tracker.stats(7).lost_count == tracker.stats(7).out_of_order_count == 0
    return seen


plain, wrap = jitters(1000, 500), jitters(2**32 - 160 * 100, 500)
print(f"timestamps from 1000: expected 0 ms, seen {max(plain):.0f} ms")
print(f"timestamps that wrap after two seconds: expected 0 ms, seen {max(wrap) / 3600000:.1f} hours")
long = sum(value > 20 for value in wrap)
print(f"expected never over 20 ms, seen for {long / 50:.1f} seconds")
assert max(plain) < 0.01 and wrap[99] < 0.01 and 9.3 < max(wrap) / 3600000 < 9.4 and 200 < long < 320, long
E
