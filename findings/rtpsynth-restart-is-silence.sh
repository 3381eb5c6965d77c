#!/usr/bin/env bash
# The far end of a call changes in mid-call (transfer, music on hold, a media server that restarts): the RTP goes
# on with another SSRC, and a sequence number of its own, which RFC 3550, 5.1, has be random. By A.1
# a receiver that has one SSRC takes two packets in sequence behind a jump for a restart of the sender, and goes on.
# One expects a jitter buffer to do so, or to let packets through as soon as its capacity is full.
# The jitter buffer of rtpsynth goes by the sequence number alone, and not modulo 65536. Where the new one is
# lower it drops each packet as late until the numbers have caught up: from 40000 to 5 (which is 25541 ahead,
# modulo 65536) that is 40 015 packets, or 13 minutes of silence. Where the new one is higher it plays
# as soon as its capacity is full. A wrap-around in the stream itself it has right.
# After a transfer, about every second caller hears nothing, mostly for minutes.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check rtpsynth==1.3.3
"$T/v/bin/python" - <<'E'
import struct
from importlib.metadata import version
from rtpsynth.RtpJBuf import RtpJBuf
print("rtpsynth", version("rtpsynth"))
print("expected: of the new sender a few packets dropped at most, whatever its first sequence number")

def played(first, then, ssrc):
    """How many packets of a new sender are played of 60 000, and how many come before the first that is."""
    buffer, count, before = RtpJBuf(8), 0, None
    for start, number, source in ((first, 20, 1), (then, 60000, ssrc)):
        for i in range(number):
            header = struct.pack(">BBHII", 0x80, 0, (start + i) % 65536, i * 160, source)
            # The first byte of the payload tells the two senders apart.
            frames = buffer.udp_in(header + bytes([start == then]) * 160)
            count += sum(f.content.type == 0 and f.rtp_data[0] == 1 for f in frames)
            if count and before is None:
                before = i
    return count, before, buffer.dropped

for first, then, dropped in ((40000, 5, 40015), (30000, 100, 29920), (1000, 900, 120), (5, 40000, 0), (65530, 65550, 0)):
    for ssrc in (1, 2):
        count, before, gone = played(first, then, ssrc)
        print(f"seen: from {first} on to {then}, {'the same SSRC' if ssrc == 1 else 'a new SSRC'}: "
              f"{count} of 60000 played, {gone} dropped, {before / 50:.1f} s of silence")
        assert gone == dropped and count == 60000 - dropped
        assert (before > 100) == (dropped > 0)
E
