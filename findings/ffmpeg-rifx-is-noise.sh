#!/usr/bin/env bash
# RIFX is WAV with big-endian numbers (Microsoft's "Multimedia Programming Interface and Data
# Specifications 1.0"); "sox -B" and libsndfile write it. FFmpeg knows the word: it opens such a file,
# and finds the right rate, channels and length. One expects it to play the sound, or to refuse.
# It reads the header as big-endian and the samples as little-endian: 16, 24 and 32 bit and
# float come out as noise (or as denormals, which are silence), without an error or a warning.
# libsndfile and SoX read the same bytes right.
# A prompt from an old recording system is accepted, has the right length, and hisses.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check soundfile==0.14.0 numpy==2.2.6 av==18.1.0
"$T/v/bin/python" - <<'E'
import io
import av, numpy as np, soundfile as sf
print("av", av.__version__, "libavformat", av.library_versions["libavformat"], "soundfile", sf.__version__)
print("expected: the samples that were written, or an error")
x = np.round(6000 * np.sin(2 * np.pi * 400 * np.arange(8000) / 8000)).astype(np.int16)

def like(y):
    """How like the tone a sound is: 1 for the tone itself, at any level, 0 for noise."""
    y = np.nan_to_num(np.asarray(y, float))
    return abs(x.astype(float) @ y) / (np.linalg.norm(x) * np.linalg.norm(y) + 1e-300)

for subtype in ("PCM_16", "PCM_24", "PCM_32", "FLOAT"):
    f = io.BytesIO()
    sf.write(f, x, 8000, format="WAV", subtype=subtype, endian="BIG")
    data = f.getvalue()
    assert data[:4] == b"RIFX"
    sndfile, _ = sf.read(io.BytesIO(data))
    if subtype == "PCM_16":
        p = data.index(b"data") + 8
        assert (np.frombuffer(data[p:p + 16000], ">i2") == x).all()
    c = av.open(io.BytesIO(data))
    stream = c.streams.audio[0]
    ffmpeg = np.concatenate([frame.to_ndarray().ravel() for frame in c.decode(audio=0)])
    print(f"seen: {subtype}: FFmpeg takes it for {stream.codec_context.name}, {stream.rate} Hz, {len(ffmpeg)} samples; "
          f"likeness to the tone: FFmpeg {like(ffmpeg):.2f}, libsndfile {like(sndfile):.2f}")
    assert stream.rate == 8000 and len(ffmpeg) == 8000 and stream.codec_context.name.endswith("le")
    assert like(sndfile) > 0.99 and like(ffmpeg) < 0.9
E
