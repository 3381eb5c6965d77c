#!/usr/bin/env bash
# ALAC is lossless. Its last packet says itself how many samples it has, and a CAF file says how many of the last
# packet's 4096 are no sound ("Apple Core Audio Format Specification", packet table: mRemainderFrames). One expects
# FFmpeg to give back from a CAF file all samples that it has put there.
# FFmpeg 8 decodes the last packet to what it has, and takes the remainder off that once more. Up to half a packet is
# lost, a quarter of a second at 8 kHz. Where the remainder is larger than what is there nothing is taken, so that
# some lengths are right. Files of libsndfile suffer the same; libsndfile reads its own whole.
# M4A from the same encoder, and CAF with G.711, are right.
# A recording from a phone loses its last word, in a format that is chosen because it loses nothing.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check av==18.1.0 numpy==2.2.6 soundfile==0.14.0
"$T/v/bin/python" - <<'E'
import io
import av, numpy as np, soundfile as sf
print("av", av.__version__, "libavformat", av.library_versions["libavformat"], "libsndfile", sf.__libsndfile_version__)
print("expected: as many samples as were written")

def written(x, codec, form):
    file = io.BytesIO()
    with av.open(file, "w", format=form) as out:
        stream = out.add_stream(codec, rate=8000)
        stream.layout, stream.codec_context.format = "mono", "s16" if codec == "pcm_mulaw" else "s16p"
        frame = av.AudioFrame.from_ndarray(x[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 8000, 0
        context = stream.codec_context
        resampler = av.AudioResampler(format=context.format, layout="mono", rate=8000, frame_size=context.frame_size or 0)
        for each in (*resampler.resample(frame), *resampler.resample(None), None):
            for packet in stream.encode(each):
                out.mux(packet)
    return file

def read(file):
    file.seek(0)
    with av.open(file) as got:
        return np.concatenate([frame.to_ndarray()[0] for frame in got.decode(audio=0)])

for n, lost in ((4001, 95), (8000, 192), (16000, 384), (26401, 0), (80001, 1919)):
    x = (8000 * np.sin(2 * np.pi * 300 * np.arange(n) / 8000)).astype(np.int16)
    caf, m4a, g711 = (read(written(x, *kind)) for kind in (("alac", "caf"), ("alac", "ipod"), ("pcm_mulaw", "caf")))
    file = io.BytesIO()
    sf.write(file, x, 8000, format="CAF", subtype="ALAC_16")
    other = read(file)
    file.seek(0)
    own = sf.read(file, dtype="int16")[0]
    print(f"seen: {n} written; CAF with ALAC: {len(caf)} read ({lost / 8:.0f} ms lost); M4A {len(m4a)}; CAF with G.711 {len(g711)}; "
          f"from libsndfile: FFmpeg {len(other)}, libsndfile {len(own)}")
    assert len(m4a) == len(g711) == len(own) == n and np.array_equal(own, x)
    assert len(caf) == len(other) == n - lost
    assert np.array_equal(caf, x[:len(caf)]) and np.array_equal(other, caf)
E
