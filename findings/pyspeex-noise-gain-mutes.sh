#!/usr/bin/env bash
# pyspeex-noise is Speex's noise suppression and gain control, for voice satellites. Its README sets
# auto_gain = 4000 and noise_suppression = -30, and sends 10 ms at a time through. One expects voices of
# different loudness to come out alike, near a level of 4000.
# Since 2.0.0 whoever asks for gain control gets silence: no sample goes beyond 2, at any whole number for the
# level. libspeexdsp takes the level as a float (speex_preprocess.h: "Automatic Gain Control level
# (float)"), and is given the address of a double. The low half of a double such as 4000.0 is zero, so
# the target is the least there is. 1.0.2 brings voices 24 dB apart within 1 dB. Without gain control both are right.
# An assistant that was updated no longer hears anyone, and reports no error.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check numpy==2.2.6
for version in 1.0.2 2.0.1; do
  "$T/v/bin/pip" install -qq --disable-pip-version-check --no-deps --target "$T/$version" pyspeex-noise==$version
  PYTHONPATH="$T/$version" "$T/v/bin/python" - <<'E'
from importlib.metadata import version
import numpy as np
from pyspeex_noise import AudioProcessor
release = version("pyspeex-noise")
print("pyspeex-noise", release)
print("expected: a voice at peaks of 500 and of 8000 comes out at about the same level, and not as silence")
t = np.arange(160000) / 16000
phase = 2 * np.pi * np.cumsum(120 + 15 * np.sin(2 * np.pi * 0.7 * t)) / 16000
voice = sum(np.sin(k * phase) * np.exp(-((k * 120 - 600) / 700) ** 2) for k in range(1, 25))
voice *= np.clip(np.sin(4 * np.pi * t), 0, 1)  # four syllables in two seconds
voice /= np.abs(voice).max()

def out(peak, gain):
    processor = AudioProcessor(gain, -30)
    process = getattr(processor, "process_10ms", None) or processor.Process10ms
    samples = np.round(voice * peak).astype("<i2")
    parts = [process(samples[k:k + 160].tobytes()) for k in range(0, len(samples), 160)]
    audio = b"".join(part if isinstance(part, bytes) else bytes(part.audio) for part in parts)
    return np.frombuffer(audio, "<i2").astype(float)[80000:]

levels = []
for peak in (500, 8000):
    off, on = out(peak, 0), out(peak, 4000)
    levels.append(on.std())
    print(f"seen: peak {peak}: gain 0: up to {np.abs(off).max():.0f}; gain 4000: up to {np.abs(on).max():.0f}, rms {on.std():.1f}")
    assert 0.7 * peak < np.abs(off).max() < 1.3 * peak
if release == "2.0.1":
    assert max(levels) < 1
else:
    assert min(levels) > 300 and max(levels) / min(levels) < 1.12
E
done
