#!/usr/bin/env bash
# G.721 (now G.726 at 32 kbit/s) is specified to the bit, and both AU (encoding
# 23) and WAV (format 0x0040, RFC 2361) have a number for it. One expects a file that
# libsndfile writes to sound the same in FFmpeg, which takes both for G.726.
# Each of them decodes its own AU files with some 38 dB of signal over noise,
# and those of the other with 17 dB. libsndfile's WAV is nothing but noise in
# FFmpeg: FFmpeg begins with the high half of each byte there, libsndfile with
# the low half, as in AU.
# A recording at half the size of mu-law is hoarse, or lost, wherever the other tool
# plays it, while its length and header are right.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check soundfile==0.14.0 numpy==2.2.6 av==18.1.0
"$T/v/bin/python" - <<'E'
import io
import av, numpy as np, soundfile as sf
print("soundfile", sf.__version__, sf.__libsndfile_version__, "av", av.__version__)
print("expected: more than 30 dB, whoever wrote the file and whoever reads it")
t = np.arange(16000) / 8000
x = np.round(6000 * np.sin(2 * np.pi * (200 * t + 300 * t * t))).astype(np.int16)  # 200 to 1400 Hz

def snr(y):
    """dB of what in y is the input (best lag, best gain) over what is not."""
    a, best = x[2000:14000].astype(float), -99.0
    for lag in range(-30, 31):
        b = y[2000 + lag:14000 + lag].astype(float)
        g = (a @ b) / (a @ a)
        best = max(best, 10 * np.log10(g * g * (a @ a) / ((b - g * a) ** 2).sum()))
    return best

def libsndfile(file):
    return sf.read(io.BytesIO(file), dtype="int16")[0]

def ffmpeg(file):
    with av.open(io.BytesIO(file)) as got:
        return np.concatenate([f.to_ndarray().ravel() for f in got.decode(audio=0)])

def by_libsndfile(container):
    file = io.BytesIO()
    sf.write(file, x, 8000, format=container, subtype="G721_32")
    return file.getvalue()

def by_ffmpeg(container):
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream("g726le", rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(x[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        for each in (frame, None):
            for packet in stream.encode(each):
                out.mux(packet)
    return file.getvalue()

for writer, file, own, low, high in (("libsndfile's AU", by_libsndfile("AU"), libsndfile, 14, 20),
                                     ("libsndfile's WAV", by_libsndfile("WAV"), libsndfile, -9, 3),
                                     ("FFmpeg's AU", by_ffmpeg("au"), ffmpeg, 14, 20)):
    other = ffmpeg if own is libsndfile else libsndfile
    mine, theirs = snr(own(file)), snr(other(file))
    print(f"seen: {writer}: {mine:.0f} dB in {own.__name__}, {theirs:.0f} dB in {other.__name__}")
    assert mine > 30 and low < theirs < high, (mine, theirs)
E
