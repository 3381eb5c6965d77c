#!/usr/bin/env bash
# AudioStretchy makes speech faster or slower at its own pitch, by a ratio: "values less than 1.0 will shorten
# the audio". One expects a file at 0.8 to last eight tenths of the time, and one at 1.2, its README's own
# example for "20% slower", twelve tenths.
# It writes its whole output buffer, which is made for the next multiple of one half: at 0.8 and 0.9 the file is as
# long as before, at 1.1 and 1.2 half as long again. The speech in it has the right length; the rest is
# silence: a fifth of the file at 0.8, a quarter at 1.1. At 0.5, 1.0, 1.5 and 2.0 the files are right to 2 %.
# A prompt that was made faster keeps the caller waiting as long as it did, in silence.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check numpy==2.2.6
"$T/v/bin/pip" install -qq --disable-pip-version-check --no-deps audiostretchy==1.3.5
"$T/v/bin/python" - "$T/in.wav" "$T/out.wav" <<'E'
import sys, wave
from importlib.metadata import version
import numpy as np
from audiostretchy.stretch import stretch_audio
print("audiostretchy", version("audiostretchy"))
print("expected: a file as long as the ratio says, with sound up to its end")
t = np.arange(32000) / 8000
phase = 2 * np.pi * np.cumsum(120 + 15 * np.sin(2 * np.pi * 0.7 * t)) / 8000
voice = sum(np.sin(k * phase) * np.exp(-((k * 120 - 600) / 700) ** 2) for k in range(1, 25))
samples = np.round(voice / np.abs(voice).max() * 16000).astype("<i2")
with wave.open(sys.argv[1], "wb") as w:
    w.setnchannels(1)
    w.setsampwidth(2)
    w.setframerate(8000)
    w.writeframes(samples.tobytes())
for ratio, length in ((0.5, 0.5), (0.8, 1.0), (0.9, 1.0), (1.0, 1.0), (1.1, 1.5), (1.2, 1.5), (1.5, 1.5), (2.0, 2.0)):
    stretch_audio(sys.argv[1], sys.argv[2], ratio=ratio)
    with wave.open(sys.argv[2], "rb") as w:
        assert w.getframerate() == 8000 and w.getnchannels() == 1
        out = np.frombuffer(w.readframes(w.getnframes()), "<i2").astype(int)
    sound = np.flatnonzero(np.abs(out) > 100)[-1] + 1
    print(f"seen: ratio {ratio}: sound for {sound / len(samples):.2f} of the time, file {len(out) / len(samples):.2f}")
    assert abs(sound / len(samples) - ratio) < 0.03
    assert abs(len(out) / len(samples) - length) < 0.03
E
