#!/usr/bin/env bash
# One expects a GSM 6.10 WAV file (WAV49) that holds whole blocks of 320
# samples to read back as many samples as were written.
# soundfile/libsndfile reads one block (40 ms) too many whenever the file holds
# an odd number of 65-byte blocks, and none when the number is even. What the
# extra block holds is not silence: it is far louder than the tone before it.
# The file's own "fact" chunk has the right number, and FFmpeg reads the right number.
# For voicemail and prompts this is a burst of noise at the end, and a length
# that is wrong for every second message.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check soundfile==0.14.0 numpy==2.2.6 av==18.1.0
"$T/v/bin/python" - <<'E'
import io, struct
import av, numpy as np, soundfile as sf
print("soundfile", sf.__version__, sf.__libsndfile_version__, "av", av.__version__)
print("expected: as many samples read as written, for whole 320-sample blocks")
x = (8000 * np.sin(2 * np.pi * 400 * np.arange(9600) / 8000)).astype(np.int16)
rms = lambda a: float(np.sqrt((a.astype(float) ** 2).mean()))
for blocks in (2, 3, 4, 5, 10, 15, 25, 30):
    n = blocks * 320
    f = io.BytesIO()
    sf.write(f, x[:n], 8000, format="WAV", subtype="GSM610")
    raw = f.getvalue()
    p = raw.index(b"fact")
    fact = struct.unpack("<I", raw[p + 8:p + 12])[0]
    f.seek(0)
    y, _ = sf.read(f, dtype="int16")
    f.seek(0)
    ff = sum(fr.samples for fr in av.open(f).decode(audio=0))
    print(f"seen: wrote {n}, fact {fact}, FFmpeg reads {ff}, soundfile reads {len(y)}, "
          f"level of the last 320 samples {rms(y[-320:]):.0f} (tone {rms(x[:n]):.0f})")
    assert fact == n and ff == n
    assert len(y) == n + (320 if blocks % 2 else 0)
    assert (rms(y[-320:]) > 2 * rms(x[:n])) == bool(blocks % 2)
E
