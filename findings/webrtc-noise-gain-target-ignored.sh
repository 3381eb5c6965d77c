#!/usr/bin/env bash
# webrtc-noise-gain is the gain control of voice satellites. It takes a target level,
# auto_gain_dbfs, 1 to 31 (dB below full scale), and Google's own gain control brings
# a voice to such a level. One expects voices 40 dB apart to come out alike, and a
# target of -31 dBFS to be 30 dB softer than one of -1 dBFS. The target has no effect
# at all: any of them is a fixed gain of some 6.5 dB, less where that would clip, and
# a soft voice stays as soft. What was levelled so must be levelled once more.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check webrtc-noise-gain==1.3.0 numpy==2.2.6
"$T/v/bin/python" - <<'E2'
import importlib.metadata
import numpy as np
from webrtc_noise_gain import AudioProcessor

print("webrtc-noise-gain", importlib.metadata.version("webrtc-noise-gain"))
print("expected: voices of -60 and -20 dBFS leave at the target, -3 or -31 dBFS")
t = np.arange(16000 * 10) / 16000  # ten seconds, in syllables, of a voice-like sound
voice = (np.sin(2 * np.pi * 2.5 * t) > 0) * sum(np.sin(2 * np.pi * 150 * k * t) / k for k in range(1, 12))
level = lambda x: 20 * np.log10(np.std(x.astype(float)) / 32768)
left = {}
for dbfs in (-60, -20):
    said = np.rint(voice * 10 ** ((dbfs - level(voice)) / 20)).astype("<i2")
    for target in (3, 31):
        processor = AudioProcessor(target, 0)
        blocks = [processor.Process10ms(said[at : at + 160].tobytes()).audio for at in range(0, len(said), 160)]
        heard = np.frombuffer(b"".join(blocks), "<i2")[-80000:]  # the last five seconds
        left[dbfs, target] = level(heard)
        print(f"seen: {level(said):.1f} dBFS with a target of -{target} dBFS leaves at {left[dbfs, target]:.1f} dBFS")
for dbfs in (-60, -20):
    assert abs(left[dbfs, 3] - left[dbfs, 31]) < 0.5
assert abs(left[-60, 3] - (-53.5)) < 1.5 and left[-20, 3] - left[-60, 3] > 30
E2
