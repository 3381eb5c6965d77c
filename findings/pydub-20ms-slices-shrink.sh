#!/usr/bin/env bash
# One expects a 20 ms slice of 8 kHz audio, brought to 16 kHz with pydub's
# set_frame_rate, to have 320 samples, and the slices to add up to the whole.
# Each slice has 319 (at 48 kHz 955 for 960): the resampler stops at the last
# input sample and pydub keeps no state from slice to slice.
# Its length still reads 20 (ms). Sent as 20 ms frames, such audio is short by
# one to five samples per frame, jumps a little at each seam, and is 31 to 52 ms short
# after 10 seconds.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check pydub==0.25.1 'audioop-lts==0.2.2; python_version >= "3.13"'
"$T/v/bin/python" -W ignore - <<'E'
import math, struct
from importlib.metadata import version
from pydub import AudioSegment
print("pydub", version("pydub"))
print("expected: 320/480/960 samples for a slice at 16/24/48 kHz, 10000 ms in all")
pcm = struct.pack("<80000h", *(int(8000 * math.sin(2 * math.pi * 400 * i / 8000)) for i in range(80000)))
call = AudioSegment(pcm, frame_rate=8000, sample_width=2, channels=1)
for rate, samples, total in ((16000, 319, 9969), (24000, 478, 9958), (48000, 955, 9948)):
    parts = [call[i:i + 20].set_frame_rate(rate) for i in range(0, 10000, 20)]
    sizes, labels = {int(p.frame_count()) for p in parts}, {len(p) for p in parts}
    ms = round(sum(p.frame_count() for p in parts) * 1000 / rate)
    print(f"seen: {rate} Hz: slices of {sizes} samples, said to be {labels} ms; in all {ms} ms")
    assert sizes == {samples} and labels == {20} and ms == total, (sizes, labels, ms)
E
