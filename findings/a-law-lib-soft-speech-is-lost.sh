#!/usr/bin/env bash
# A-law companding is a curve and its inverse (G.711): one expects to hear what was there before, but for the noise
# of the quantization, and one expects the curve to stay within -1 to 1, and to have no step.
# a-law-lib has other formulas: its curve goes up to 3.6, jumps from 1 to 2.6 at a sample of 0.18, and its inverse
# takes the threshold of the input for that of the output. Samples between 0.034 and 0.18 of full scale, where most
# of speech lies, come back 12 to 19 times too quiet; below and above they come back right. So a sine
# of full scale looks fair, and one at -15 dB comes back at -37 dB. There is no error, and the file has its length.
# Who simulates the telephone with it, to train or to test a recogniser, trains it with speech that is gone.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check numpy==2.2.6
"$T/v/bin/pip" install -qq --disable-pip-version-check --no-deps a-law-lib==0.2.0
"$T/v/bin/python" -W ignore - <<'E'
import sys
import types
from importlib.metadata import version

import numpy as np

# Only its function for files needs SciPy, which is large.
sys.modules["scipy"], sys.modules["scipy.io"] = types.ModuleType("scipy"), types.ModuleType("scipy.io")
sys.modules["scipy.io"].wavfile = None
from a_law_lib.main import a_law_decode, a_law_encode

print("a-law-lib", version("a-law-lib"))
A = 87.6
for x, encoded, decoded in ((0.01, 0.055, 0.01), (0.03, 0.164, 0.03), (0.034, 0.186, 0.0029), (0.05, 0.274, 0.0033),
                            (0.1, 0.547, 0.0053), (0.18, 0.985, 0.0111), (0.19, 2.654, 0.19), (1.0, 3.631, 1.0)):
    right = (A * x if x < 1 / A else 1 + np.log(A * x)) / (1 + np.log(A))
    e = a_law_encode(np.array([x]))
    d = a_law_decode(e)
    print(f"{x}: expected {right:.3f}, and {x} again; seen {e[0]:.3f}, and {d[0]:.4f}")
    assert round(float(e[0]), 3) == encoded and abs(d[0] - decoded) < 6e-5
decibels = lambda s: 10 * np.log10(np.mean(s**2) * 2)
for level, seen in ((-40, -40), (-15, -37), (0, 0)):
    sine = 10 ** (level / 20) * np.sin(2 * np.pi * 440 / 8000 * np.arange(8000))
    back = decibels(a_law_decode(a_law_encode(sine)))
    print(f"a sine at {level} dB: expected {level} dB again, seen {back:.1f} dB")
    assert abs(back - seen) < 1
E
