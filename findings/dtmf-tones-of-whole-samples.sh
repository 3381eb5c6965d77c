#!/usr/bin/env bash
# One expects a DTMF generator to keep to the frequencies of ITU-T Q.23 within
# the 1.8 % that it allows.
# The package dtmf makes each period a whole number of samples, rounded up: at
# 8 kHz 697 Hz becomes 667 Hz and 1209 Hz becomes 1143 Hz; 1477 Hz becomes 1333 Hz,
# as 1336 Hz does, so that the columns 2-5-8-0 and 3-6-9-# are at one frequency.
# All but 1336 Hz are off by 2 to 10 %.
# PyDTMF, which follows Asterisk's detector, hears no digit, and hears all of
# them with the right frequencies and the same lengths.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check dtmf==1.1.0 pydtmf==1.0.0 numpy==2.2.6
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
import dtmf, numpy as np
from PyDTMF import from_pcm
print("dtmf", version("dtmf"), "pydtmf", version("pydtmf"))
print("expected: each frequency within 1.8 %, each digit heard")
FREQUENCIES = {"1": (697, 1209), "5": (770, 1336), "9": (852, 1477), "D": (941, 1633)}

def made(digits):
    return np.array(list(dtmf.generate(dtmf.parse(digits), sample_rate=8000)))

def heard(x):
    return from_pcm(np.concatenate((x / np.abs(x).max() * 16000, np.zeros(800))).astype(int).tolist())[0]

def strongest(x, about):
    """The frequency in Hz, within 10 % of the one asked for, that has most energy."""
    power = np.abs(np.fft.rfft(x * np.hanning(len(x)), 80000))
    band = np.arange(round(about * 9), round(about * 11))
    return band[power[band].argmax()] / 10

right = []
for digit, pair in FREQUENCIES.items():
    x = made(digit)
    n = np.flatnonzero(x)[-1] + 1
    for f in pair:
        got = strongest(x[:n], f)
        print(f"seen: {digit}: {f} Hz is {got:.1f} Hz ({100 * got / f - 100:+.1f} %)")
        assert (abs(got / f - 1) > 0.018) == (f != 1336) and abs(got - 8000 / np.ceil(8000 / f)) < 1
    t = np.arange(n) / 8000
    right += [sum(np.sin(2 * np.pi * f * t) for f in pair), np.zeros(len(x) - n)]
seen, corrected = heard(made("159D")), heard(np.concatenate(right))
print(f"seen: 159D is read as \"{seen}\", with the right frequencies as \"{corrected}\"")
assert seen == "" and corrected == "159D"
E
