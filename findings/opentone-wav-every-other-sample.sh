#!/usr/bin/env bash
# One expects the WAV file of a DTMF generator to be as long as was asked for, and
# another package to read the digits in it.
# opentone writes each sample as 32 bits into a file of 16 bits at 8 kHz, so
# that 0 or -1 follows each sample: the file lasts twice as long, and has
# each tone at half its frequency, with a mirror image above 2 kHz.
# PyDTMF hears no digit in it, and all of them in every other sample. opentone's own
# decoder takes files for 16 kHz by default, which hides it.
# Played into a call, such a file dials nothing.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check opentone==0.1.2 pydtmf==1.0.0
T=$T "$T/v/bin/python" - <<'E'
import os, wave
from array import array
from importlib.metadata import version
from opentone import ToneGenerator
from PyDTMF import from_pcm, from_wav
print("opentone", version("opentone"), "pydtmf", version("pydtmf"))
print("expected: 4 digits of 100 ms with 100 ms after each: 800 ms, read as 159D")
path = os.path.join(os.environ["T"], "159D.wav")
ToneGenerator(duration=100, pause=100).dtmf_to_wave("159D", path)
with wave.open(path) as file:
    rate, samples = file.getframerate(), array("h", file.readframes(10 ** 6))
whole, half = from_wav(open(path, "rb").read())[0], from_pcm(samples[::2].tolist())[0]
print(f"seen: {rate} Hz, {len(samples) * 1000 // rate} ms, read as \"{whole}\"; every other sample of it as \"{half}\"; "
      f"the rest are {sorted(set(samples[1::2]))}")
assert (rate, len(samples), whole, half) == (8000, 12800, "", "159D")
assert set(samples[1::2]) == {-1, 0}
E
