#!/usr/bin/env bash
# One expects eyeD3's time_secs of an MP3 file of constant bit rate to be its length: FFmpeg writes the number of
# frames into its first frame (the "Info" header), and eyeD3 goes by that number in files of variable bit rate.
# In those of constant bit rate it divides the size by the bit rate of the FIRST frame. That is the one with the header,
# and at the low bit rates of speech it is made larger than the others, as the header would not fit: 10 seconds at 32
# kbit/s are 8 at 16 kHz, 5 at 24 kHz and 6 at 44.1 kHz. Without the header, and at 64 kbit/s, they are 10.
# mutagen and tinytag have all of them right.
# Whoever bills or queues by the length of a prompt or of voicemail goes by half of it, in small files only.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check eyed3==0.9.9 mutagen==1.48.1 tinytag==2.3.2 numpy==2.2.6 av==18.1.0
cd "$T"
"$T/v/bin/python" - 2> >(grep -v "Lame tag CRC" >&2) <<'E'
from importlib.metadata import version
import av, eyed3, mutagen, numpy as np, tinytag
print("eyed3", version("eyed3"), "mutagen", version("mutagen"), "tinytag", version("tinytag"), "av", av.__version__)
print("expected: 10 s, and up to some tenths for the codec's own silence")
for rate, kilobits, header, told in ((16000, 32, 1, 8), (24000, 32, 1, 5), (44100, 32, 1, 6), (24000, 32, 0, 10), (24000, 64, 1, 10)):
    t = np.arange(10 * rate) / rate
    x = (8000 * np.sin(2 * np.pi * 300 * t)).astype(np.int16)
    with av.open("a.mp3", "w", options={"write_xing": str(header), "id3v2_version": "0"}) as out:
        stream = out.add_stream("libmp3lame", rate=rate)
        stream.layout, stream.bit_rate = "mono", kilobits * 1000
        frame = av.AudioFrame.from_ndarray(x[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler("s16p", "mono", rate, frame_size=stream.codec_context.frame_size)
        for each in (*resampler.resample(frame), *resampler.resample(None), None):
            for packet in stream.encode(each):
                out.mux(packet)
    seconds = eyed3.load("a.mp3").info.time_secs
    others = mutagen.File("a.mp3").info.length, tinytag.TinyTag.get("a.mp3").duration
    print(f"seen: {rate} Hz, {kilobits} kbit/s, {'with' if header else 'without'} header: eyeD3 {seconds:.2f} s, "
          f"mutagen {others[0]:.2f}, tinytag {others[1]:.2f}")
    assert round(seconds) == told and all(abs(s - 10) < 0.3 for s in others)
E
