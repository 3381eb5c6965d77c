#!/usr/bin/env bash
# soundfile writes MP3 from 16 bit samples and from float alike. One expects a stereo file, such as a call with a
# channel for each side, to sound the same from either.
# From 16 bit in stereo half of the sound is wrong: stretches of it alternate with whatever was in memory
# there before. libsndfile hands to LAME a buffer into which it has copied as many BYTES as there
# are samples. The length is right, and no error is raised. The same samples as float or 32 bit, and mono from 16
# bit, are right. soundfile.read(dtype="int16"), Python's wave and most telephony give 16 bit.
# An archive of calls is half noise, and a test of the length, or in mono, finds all in order.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check numpy==2.2.6 soundfile==0.14.0
"$T/v/bin/python" - <<'E'
import io
import numpy as np, soundfile as sf
print("soundfile", sf.__version__, sf.__libsndfile_version__)
print("expected: the same sound from either kind of samples, more than 20 dB above the noise of the codec")
for rate in (8000, 16000, 44100):
    t = np.arange(3 * rate) / rate
    # Two tones that rise, so that no piece of either is like one from before.
    sides = np.stack([np.round(8000 * np.sin(2 * np.pi * (hz + 150 * t) * t)) for hz in (300, 900)], 1).astype(np.int16)
    for kind, x in (("16 bit, mono", sides[:, 0]), ("float, stereo", (sides / 32768).astype(np.float32)),
                    ("32 bit, stereo", sides.astype(np.int32) << 16), ("16 bit, stereo", sides)):
        file = io.BytesIO()
        sf.write(file, x, rate, format="MP3")
        file.seek(0)
        y = sf.read(file, always_2d=True)[0] * 32768
        assert len(y) == len(t)
        truth = sides[:, :y.shape[1]].astype(float)
        over = [10 * np.log10((truth[:, c] ** 2).sum() / ((y[:, c] - truth[:, c]) ** 2).sum()) for c in range(y.shape[1])]
        print(f"seen: {rate} Hz, from {kind}: {' and '.join(f'{v:.0f} dB' for v in over)} above the noise")
        assert all(v < 5 for v in over) if kind == "16 bit, stereo" else all(v > 20 for v in over)
E
