#!/usr/bin/env bash
# One expects a streaming resampler that is told end_of_input=True ("if no more
# data is available") to give the rest that its filter still holds, so that a
# stream in 20 ms frames is as long as the same sound in one call. With libsamplerate
# itself one calls on until nothing more comes, as its sndfile-resample does.
# python-samplerate has room for one frame only at each call, and keeps
# the rest: the last 18 ms (sinc_best, 8 to 16 kHz) never come, however often
# one calls it with empty input. In one call all samples come.
# Each prompt or sentence of a TTS engine loses its last consonant's end, and the
# sum of the pieces is shorter than the whole, unless one feeds silence behind.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check samplerate==0.2.4 numpy==2.2.6
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
import numpy as np, samplerate
print("samplerate", version("samplerate"))
print("expected: 16000 samples each")
x = (0.25 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)).astype(np.float32)
for converter, kept in (("sinc_best", 288), ("sinc_medium", 94), ("sinc_fastest", 40), ("linear", 0)):
    stream = samplerate.Resampler(converter)
    frames = [stream.process(x[i:i + 160], 2, end_of_input=i == 7840) for i in range(0, 8000, 160)]
    frames += [stream.process(x[:0], 2, end_of_input=True) for _ in range(3)]
    one = samplerate.Resampler(converter).process(x, 2, end_of_input=True)
    got = sum(map(len, frames))
    print(f"seen: {converter}: {got} samples in 20 ms frames ({(16000 - got) / 16:.1f} ms lost), {len(one)} in one call")
    assert (got, len(one)) == (16000 - kept, 16000)
    assert np.array_equal(np.concatenate(frames), one[:got])
E
