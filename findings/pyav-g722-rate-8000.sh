#!/usr/bin/env bash
# SDP and RTP call G.722 "G722/8000", so one sets FFmpeg's g722 codec to 8000 Hz.
# One expects it to refuse, to insist on 16000, or to work on 8 kHz audio (as the
# G722 package does: 160 samples per 160-byte packet).
# FFmpeg takes 8000 without a word and goes on as for 16 kHz: the decoder gives
# 320 samples for a 20 ms packet and labels them 8000 Hz (40 ms, half speed),
# and the encoder packs 40 ms of 8 kHz audio into one packet, so the peer hears
# a 1000 Hz tone as 2000 Hz.
# Speech sent to a recogniser or a caller is then at half or double speed.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check av==18.1.0 numpy==2.2.6 G722==1.2.8
"$T/v/bin/python" - <<'E'
from fractions import Fraction
from importlib.metadata import version
import av, G722, numpy as np
print("av", av.__version__, "libavcodec", av.library_versions["libavcodec"], "G722", version("G722"))
print("expected: an error, 16000 Hz, or 160 samples at 8000 Hz for a 160-byte packet")
tone = lambda rate: (8000 * np.sin(2 * np.pi * 1000 * np.arange(rate * 2) / rate)).astype(np.int16)

d = av.CodecContext.create("g722", "r")
d.sample_rate, d.layout = 8000, "mono"
frame = d.decode(av.Packet(bytes(G722.G722(16000, 64000).encode(tone(16000)[:320]))))[0]
lib = len(G722.G722(8000, 64000).decode(bytes(160)))
print(f"seen: FFmpeg decodes 20 ms to {frame.samples} samples at {frame.sample_rate} Hz, "
      f"the G722 package at 8000 Hz to {lib}")
assert (frame.samples, frame.sample_rate, lib) == (320, 8000, 160)

e = av.CodecContext.create("g722", "w")
e.sample_rate, e.layout, e.format, e.time_base = 8000, "mono", "s16", Fraction(1, 8000)
x, packets = tone(8000), []
for i in range(0, len(x), 160):
    f = av.AudioFrame.from_ndarray(x[i:i + 160].reshape(1, -1), format="s16", layout="mono")
    f.sample_rate, f.pts = 8000, i
    packets += [bytes(p) for p in e.encode(f)]
y = np.asarray(G722.G722(16000, 64000).decode(b"".join(packets)))
hz = int(np.argmax(np.abs(np.fft.rfft(y[4000:12000])))) * 2
print(f"seen: 100 frames of 20 ms at 8000 Hz give {len(packets)} packets of {len(packets[0])} bytes; "
      f"the peer hears {hz} Hz for 1000 Hz")
assert len(packets) == 50 and len(packets[0]) == 160 and hz == 2000
E
