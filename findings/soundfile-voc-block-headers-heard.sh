#!/usr/bin/env bash
# A VOC file is a row of blocks, each with a header of 4 bytes: after the first one with sound (type 1 or 9)
# come blocks of type 2, "sound continues". FFmpeg's muxer makes one block of each packet, so almost any VOC
# file of FFmpeg has many of them. One expects libsndfile (soundfile), which reads VOC, to skip the headers.
# It reads on over them as if they were sound: 16 bit and G.711 have noise after each header (two samples
# of 16 bit, four of G.711 per block, from then on shifted), and a file that is too long. In 8 bit it refuses the
# file ("incompatible VOC sections"). FFmpeg and SoX read the same file right.
# A prompt converted with "ffmpeg -i in.wav out.voc" ticks all the way.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check soundfile==0.14.0 numpy==2.2.6 av==18.1.0
"$T/v/bin/python" - <<'E'
import io
import av, numpy as np, soundfile as sf
print("soundfile", sf.__version__, sf.__libsndfile_version__, "av", av.__version__)
print("expected: 8000 samples, none far off, however many blocks there are")
x = np.round(6000 * np.sin(2 * np.pi * 400 * np.arange(8000) / 8000)).astype(np.int16)

def written(codec, packet):
    f = io.BytesIO()
    with av.open(f, "w", format="voc") as c:
        stream = c.add_stream(codec, rate=8000, layout="mono")
        for k in range(0, len(x), packet):
            frame = av.AudioFrame.from_ndarray(x[None, k:k + packet], format="s16", layout="mono")
            frame.sample_rate, frame.pts = 8000, k
            c.mux(stream.encode(frame))
        c.mux(stream.encode(None))
    return f.getvalue()

def blocks(data):
    """The type of each block, by the format: type, 3 bytes of length; 0 ends the file."""
    position, types = 26, []
    while position < len(data) and data[position]:
        types.append(data[position])
        position += 4 + int.from_bytes(data[position + 1:position + 4], "little")
    return types

for codec, header in (("pcm_s16le", 2), ("pcm_mulaw", 4)):
    for packet in (8000, 4000, 160):
        data = written(codec, packet)
        types = blocks(data)
        assert types == [9] + [2] * (8000 // packet - 1)
        y, _ = sf.read(io.BytesIO(data), dtype="int16")
        ffmpeg = np.concatenate([frame.to_ndarray().ravel() for frame in av.open(io.BytesIO(data)).decode(audio=0)])
        off, off_ffmpeg = (int(np.abs(z[:8000].astype(int) - x).max()) for z in (y, ffmpeg))
        print(f"seen: {codec}, {len(types)} blocks: libsndfile {len(y)} samples, off by up to {off}; "
              f"FFmpeg {len(ffmpeg)}, {off_ffmpeg}")
        assert len(ffmpeg) == 8000 and off_ffmpeg < 150
        assert len(y) == 8000 + header * (len(types) - 1)
        assert (off > 6000) == (len(types) > 1)
E
