#!/usr/bin/env bash
# The "fact" chunk of a WAV file with ADPCM tells how many samples were encoded
# (Microsoft's "New Multimedia Data Types"), because the last block is always
# whole: a player needs it to stop in time, and a loop to be without a gap.
# One expects the two most used writers, FFmpeg and libsndfile, to put the number
# of samples there. Both put the blocks' capacity there, so the length of the
# sound is lost: a prompt of 0.85 s at 8 kHz is 1.02 or 0.88 s long, with a hole
# wherever it loops, and a reader can only guess by the silence at its end.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check av==18.1.0 numpy==2.2.6 soundfile==0.14.0
"$T/v/bin/python" - <<'E'
import io, struct
import av, numpy as np, soundfile as sf
print("av", av.__version__, "soundfile", sf.__version__, sf.__libsndfile_version__)
print("expected: fact says 6800 where 6800 samples were encoded")
x = (8000 * np.sin(2 * np.pi * 440 * np.arange(6800) / 8000)).astype(np.int16)
fact = lambda raw: struct.unpack("<I", raw[raw.index(b"fact") + 8:][:4])[0]

for codec in ("adpcm_ima_wav", "adpcm_ms"):
    file = io.BytesIO()
    with av.open(file, "w", format="wav") as out:
        stream = out.add_stream(codec, rate=8000)
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(x[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=8000)
        for each in (*resampler.resample(frame), *resampler.resample(None), None):
            for packet in stream.encode(each):
                out.mux(packet)
    file.seek(0)
    with av.open(file) as got:
        decoded = sum(frame.samples for frame in got.decode(audio=0))
    print(f"seen: FFmpeg, {codec}: fact {fact(file.getvalue())}, {decoded} decoded")
    assert fact(file.getvalue()) == decoded > 6800

file = io.BytesIO()
sf.write(file, x, 8000, format="WAV", subtype="IMA_ADPCM")
file.seek(0)
y, _ = sf.read(file, dtype="int16")
print(f"seen: soundfile, IMA ADPCM: fact {fact(file.getvalue())}, {len(y)} read")
assert fact(file.getvalue()) == len(y) > 6800
E
