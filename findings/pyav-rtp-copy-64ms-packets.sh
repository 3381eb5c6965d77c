#!/usr/bin/env bash
# One expects FFmpeg's RTP muxer to send PCMU as 20 ms packets, the default that
# RFC 3551 gives, or at least to cut the audio to some packet time of its own.
# It sends whatever packets it is given: an 8 kHz mu-law WAV file copied to RTP
# goes out as 512-byte packets of 64 ms, since that is what the WAV reader
# hands over (and no marker bit is set on the first one).
# Phones and PBXs set for 20 ms get three packets' worth at once and a time
# stamp step of 512; jitter buffers of 60 ms or less then run dry or drop audio.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check av==18.1.0 numpy==2.2.6 soundfile==0.14.0
"$T/v/bin/python" - <<'E'
import io, struct
import av, numpy as np, soundfile as sf
print("av", av.__version__, "libavformat", av.library_versions["libavformat"])
print("expected: 160-byte payloads, time stamp step 160")
x = (8000 * np.sin(2 * np.pi * 400 * np.arange(16000) / 8000)).astype(np.int16)
wav = io.BytesIO()
sf.write(wav, x, 8000, format="WAV", subtype="ULAW")
wav.seek(0)

class Packets(list):
    def write(self, data):
        self.append(bytes(data))
        return len(data)

packets = Packets()
source = av.open(wav)
stream = source.streams.audio[0]
out = av.open(packets, "w", format="rtp")
copy = out.add_stream_from_template(stream)
for p in source.demux(stream):
    if p.dts is not None:
        p.stream = copy
        out.mux(p)
out.close()
rtp = [p for p in packets if p[1] & 0x7F == 0]          # PCMU; leaves the RTCP reports out
sizes = [len(p) - 12 for p in rtp]
stamps = [struct.unpack("!I", p[4:8])[0] for p in rtp]
steps = {(b - a) & 0xFFFFFFFF for a, b in zip(stamps, stamps[1:])}
print("seen: payload sizes", sizes[:4], "... time stamp steps", steps, "first marker bit", rtp[0][1] >> 7)
assert sum(sizes) == 16000 and set(sizes[:-1]) == {512} and steps == {512} and rtp[0][1] >> 7 == 0
E
