#!/usr/bin/env bash
# One expects a streaming resampler fed with 20 ms frames to give about 20 ms
# per frame once a filter delay of a few milliseconds has passed.
# soxr's ResampleStream gives nothing for several frames and then a block of
# 100 ms or more at once (int16, HQ and MQ alike), for up and for down.
# Only its QQ quality goes frame by frame.
# In telephony such a block empties the play-out buffer and then overfills it,
# and adds over 100 ms to a call unless the frames are re-cut and buffered.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check soxr==1.1.0 numpy==2.2.6
"$T/v/bin/python" - <<'E'
import numpy as np, soxr
print("soxr", soxr.__version__)
print("expected: about 20 ms out for each 20 ms in, at most 40 ms at once, few empty frames")

def chunks(src, dst, quality, frames=100):
    n = src // 50
    x = (8000 * np.sin(2 * np.pi * 400 * np.arange(n * frames) / src)).astype(np.int16)
    rs = soxr.ResampleStream(src, dst, 1, dtype="int16", quality=quality)
    return [len(rs.resample_chunk(x[i * n:(i + 1) * n])) * 1000 / dst for i in range(frames)]

for src, dst, q, biggest, empty, first in (
    (8000, 16000, "HQ", 103.75, 81, 5), (8000, 16000, "MQ", 108.25, 82, 5),
    (8000, 48000, "HQ", 153.33, 87, 7), (16000, 8000, "HQ", 103.75, 81, 5),
    (48000, 8000, "HQ", 145.375, 87, 7), (8000, 16000, "QQ", 20.0, 0, 0),
):
    ms = chunks(src, dst, q)
    got = (max(ms), ms.count(0), next(i for i, v in enumerate(ms) if v))
    print(f"seen: {src}->{dst} {q}: biggest block {got[0]:.2f} ms, {got[1]} of 100 frames empty, "
          f"first output after {got[2]} empty frames")
    assert abs(got[0] - biggest) < 0.01 and got[1] == empty and got[2] == first, got
E
