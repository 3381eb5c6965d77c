#!/usr/bin/env bash
# The chunks of AIFF have even lengths: a pad byte follows an odd one, and by Apple's "Audio Interchange
# File Format", section 3, it is no part of the chunk. A VOC file ends with a zero byte, the terminator.
# One expects libsndfile (soundfile) to write either where 8-bit or G.711 samples end.
# It counts the byte as sound. An AIFF file of an odd number of samples says in COMM and SSND
# that it has one more, and a VOC file with G.711 always does. A zero byte in mu-law is
# -32124, in unsigned 8 bit -32768: the loudest sample there is. libsndfile itself and FFmpeg play it.
# WAV, AU, CAF and W64 from the same library are right, and so is AIFF from FFmpeg.
# Half of all prompts in AIFF, and all in VOC, end with a click at full scale.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check soundfile==0.14.0 numpy==2.2.6 av==18.1.0
"$T/v/bin/python" - <<'E'
import io, struct
import av, numpy as np, soundfile as sf
print("soundfile", sf.__version__, sf.__libsndfile_version__, "av", av.__version__)
print("expected: as many samples read as were written, silence at the end of a sound that fades")
for container, subtype, number, extra, click in (
    ("AIFF", "ULAW", 8001, 1, -32124), ("AIFF", "ALAW", 8001, 1, -5504), ("AIFF", "PCM_U8", 8001, 1, -32768),
    ("AIFF", "ULAW", 8000, 0, 0), ("VOC", "ULAW", 8001, 1, -32124), ("VOC", "ULAW", 8000, 1, -32124),
    ("VOC", "ALAW", 8000, 1, -5504), ("VOC", "PCM_U8", 8001, 0, 0), ("WAV", "ULAW", 8001, 0, 0),
    ("AU", "ULAW", 8001, 0, 0), ("CAF", "ULAW", 8001, 0, 0), ("W64", "ULAW", 8001, 0, 0),
):
    n = np.arange(number)
    x = np.round(6000 * np.sin(2 * np.pi * 400 * n / 8000) * (1 - n / n[-1])).astype(np.int16)
    f = io.BytesIO()
    sf.write(f, x, 8000, format=container, subtype=subtype)
    data = f.getvalue()
    y, _ = sf.read(io.BytesIO(data), dtype="int16")
    ffmpeg = sum(frame.samples for frame in av.open(io.BytesIO(data)).decode(audio=0))
    told = ""
    if container == "AIFF":
        p = data.index(b"COMM") + 10
        told = f", COMM says {struct.unpack('>I', data[p:p + 4])[0]}"
        assert told.endswith(str(number + extra))
    print(f"seen: {container} {subtype}: wrote {number}{told}, libsndfile reads {len(y)}, FFmpeg {ffmpeg}, the last is {y[-1]}")
    assert len(y) == ffmpeg == number + extra
    assert y[-1] == click if extra else abs(int(y[-1])) < 300
E
