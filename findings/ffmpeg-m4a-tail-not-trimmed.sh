#!/usr/bin/env bash
# AAC puts silence before the sound and behind it. An M4A file tells how much:
# the edit list where the sound begins, the track's duration where it ends.
# FFmpeg writes both, so one expects its own decoder to give back as many
# samples as were put in, as it does for MP3 with a LAME tag and for Opus.
# It trims the beginning to the sample, and leaves the padding at the end,
# though the stream's duration, which it has read, is right to the sample.
# Hold music and prompts that are joined have a hole of some 20 ms at 44.1 kHz,
# and of up to 128 ms at 8 kHz, unless one cuts the end oneself.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check av==18.1.0 numpy==2.2.6
"$T/v/bin/python" - <<'E'
import io
import av, numpy as np
print("av", av.__version__, "libavformat", av.library_versions["libavformat"])
print("expected: as many samples decoded as encoded")

def encoded(codec, container, rate, seconds=1.7):
    n = round(seconds * rate)
    x = (8000 * np.sin(2 * np.pi * 440 * np.arange(n) / rate)).astype(np.int16)
    file = io.BytesIO()
    with av.open(file, "w", format=container) as out:
        stream = out.add_stream(codec, rate=rate)
        stream.layout = "mono"
        resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=rate)
        whole = av.AudioFrame.from_ndarray(x[None], format="s16", layout="mono")
        whole.sample_rate, whole.pts = rate, 0
        for frame in (*resampler.resample(whole), *resampler.resample(None), None):
            for packet in stream.encode(frame):
                out.mux(packet)
    file.seek(0)
    return file, n

for codec, container, rate in (("aac", "ipod", 44100), ("aac", "ipod", 8000), ("libmp3lame", "mp3", 44100), ("libopus", "ogg", 48000)):
    file, put = encoded(codec, container, rate)
    with av.open(file) as got:
        stream = got.streams.audio[0]
        told = int(stream.duration * stream.time_base * rate) if container == "ipod" else put
        decoded = sum(frame.samples for frame in got.decode(stream))
    print(f"seen: {codec} at {rate} Hz: {put} samples encoded, {told} told by the file, {decoded} decoded "
          f"({(decoded - put) * 1000 / rate:.0f} ms more)")
    assert told == put
    assert (decoded > put) == (codec == "aac")
E
