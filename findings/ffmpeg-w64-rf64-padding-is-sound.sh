#!/usr/bin/env bash
# W64 pads its chunks to 8 bytes, RF64 to 2; the size of a chunk does not count the padding (Sony's "Sony
# Wave64", EBU Tech 3306). One expects FFmpeg to write its sizes so, and to read back what it wrote.
# It pads first and measures then: the data of a W64 file is 8, 16, 24 ... bytes always, and an RF64
# file has one sample more than the header itself says 8 bytes on (the sample count of ds64). In G.711 and
# unsigned 8 bit the zeros of the padding are no silence but -32124, -5504 and -32768.
# FFmpeg itself and libsndfile play them. Plain WAV from FFmpeg is right, and so is W64 from libsndfile.
# A recording gets up to 7 samples of full-scale noise at its end.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check soundfile==0.14.0 numpy==2.2.6 av==18.1.0
"$T/v/bin/python" - <<'E'
import io, struct
import av, numpy as np, soundfile as sf
print("av", av.__version__, "libavformat", av.library_versions["libavformat"], "soundfile", sf.__version__)
print("expected: as many samples read as were written")
x = np.zeros(8016, np.int16)

def written(container, codec, number, **options):
    f = io.BytesIO()
    with av.open(f, "w", format=container, options=options) as c:
        stream = c.add_stream(codec, rate=8000, layout="mono")
        resampler = av.AudioResampler(stream.codec_context.format, "mono", 8000)
        frame = av.AudioFrame.from_ndarray(x[None, :number], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        for converted in resampler.resample(frame):
            c.mux(stream.encode(converted))
        c.mux(stream.encode(None))
    return f.getvalue()

rf64 = {"rf64": "always"}
for container, codec, number, options, extra, last in (
    ("w64", "pcm_mulaw", 8000, {}, 0, 0), ("w64", "pcm_mulaw", 8001, {}, 7, -32124), ("w64", "pcm_alaw", 8004, {}, 4, -5504),
    ("w64", "pcm_u8", 8001, {}, 7, -32768), ("w64", "pcm_s16le", 8001, {}, 3, 0), ("wav", "pcm_mulaw", 8001, rf64, 1, -32124),
    ("wav", "pcm_mulaw", 8000, rf64, 0, 0), ("wav", "pcm_mulaw", 8001, {}, 0, 0),
):
    data = written(container, codec, number, **options)
    y, _ = sf.read(io.BytesIO(data), dtype="int16")
    ffmpeg = sum(frame.samples for frame in av.open(io.BytesIO(data)).decode(audio=0))
    told = ""
    if options:
        size, samples = struct.unpack("<QQ", data[28:44])
        told = f", ds64 says {size} bytes and {samples} samples"
        assert data[:4] == b"RF64" and data[12:16] == b"ds64" and (size, samples) == (number + extra, number)
    print(f"seen: {container} {codec}: wrote {number}{told}; FFmpeg reads {ffmpeg}, libsndfile {len(y)}, the last is {y[-1]}")
    assert len(y) == ffmpeg == number + extra
    assert y[-1] == last if extra else abs(int(y[-1])) < 10
f = io.BytesIO()
sf.write(f, x[:8001], 8000, format="W64", subtype="ULAW")
assert sf.info(io.BytesIO(f.getvalue())).frames == 8001
E
