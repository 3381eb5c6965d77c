#!/usr/bin/env bash
# One expects mutagen's info.length of a WAV file to be its "audio length, in
# seconds", as its documentation says, whatever the codec.
# For codecs with blocks (GSM 6.10 and ADPCM, as PBXs record) mutagen counts
# blocks as samples: two seconds are 6 ms for GSM (WAV49), 4 ms for IMA ADPCM.
# A-law and mu-law are right. tinytag gets them all right, from the byte rate.
# Whoever bills, queues or refuses voicemail by its length gets next to nothing,
# with no error, as soon as a recorder is set to wav49.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check mutagen==1.48.1 tinytag==2.3.2 soundfile==0.14.0 numpy==2.2.6
T=$T "$T/v/bin/python" - <<'E'
import os
from importlib.metadata import version
import mutagen, numpy as np, soundfile as sf, tinytag
print("mutagen", version("mutagen"), "tinytag", version("tinytag"), "soundfile", sf.__version__)
print("expected: about 2.00 s each")
x = (8000 * np.sin(2 * np.pi * 440 * np.arange(16000) / 8000)).astype(np.int16)
for subtype, told in (("PCM_16", 2.0), ("ALAW", 2.0), ("ULAW", 2.0), ("GSM610", 0.00625), ("IMA_ADPCM", 0.004),
                      ("MS_ADPCM", 0.004)):
    path = os.path.join(os.environ["T"], f"{subtype}.wav")
    sf.write(path, x, 8000, subtype=subtype)
    m, t = mutagen.File(path).info.length, tinytag.TinyTag.get(path).duration
    print(f"seen: {subtype}: mutagen {m:.4f} s, tinytag {t:.2f} s")
    assert abs(m - told) < 1e-3 and abs(t - 2) < 0.05, (m, t)
E
