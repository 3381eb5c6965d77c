#!/usr/bin/env bash
# ToneScript is what telephone adapters take for dial tone, ringback and busy:
# "480@-19,620@-19;2(.5/.5/1+2)" are two tones of -19 dBm each, on and off for half a
# second, for two seconds. One expects the package tonescript to render tones 20 dB apart as
# 20 dB apart (a factor of ten), at their frequencies, for as long as the script says. It
# takes decibels of power for the factor of the wave: -20 comes out 40 dB below 0, so that
# all usual tones are some 20 dB too soft. It rounds a wave to whole samples: 440 Hz are 421
# Hz at 8 kHz, and the first of the special information tones, 985 Hz, is 889 Hz. And it
# plays the pattern once: one second in place of two. A caller hears them faintly, if at
# all, and a detector takes them for other tones or for silence.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check tonescript==1.0.0
T=$T "$T/v/bin/python" - <<'E'
import math, os, wave
from array import array
from importlib.metadata import version
import tonescript
print("tonescript", version("tonescript"))
print("expected: -20 dB for -20, 440 Hz for 440, two seconds for 2")

def rendered(script):
    path = os.path.join(os.environ["T"], "tone.wav")
    tonescript.render(tonescript.parse(script), path, 8000, 2)
    with wave.open(path) as file:
        return array("h", file.readframes(10 ** 6))

loud = max(rendered("1000@0;1(*/0/1)"))
for level, told in ((-10, -20), (-19, -38), (-20, -40)):
    got = 20 * math.log10(max(rendered(f"1000@{level};1(*/0/1)")) / loud)
    print(f"seen: 1000 Hz @ {level}: {got:.1f} dB below a tone @ 0")
    assert abs(got - told) < 0.5
for hz, told in ((350, 348), (440, 421), (480, 471), (620, 615), (985, 889), (1428, 1333)):
    x = rendered(f"{hz}@0;1(*/0/1)")
    got = sum(a < 0 <= b for a, b in zip(x, x[1:])) * 8000 / len(x)
    print(f"seen: {hz} Hz is {got:.0f} Hz")
    assert abs(got - told) < 2
seconds = len(rendered("480@-19,620@-19;2(.5/.5/1+2)")) / 8000
print(f"seen: busy tone for 2 s lasts {seconds:.2f} s")
assert abs(seconds - 1) < 0.05
E
