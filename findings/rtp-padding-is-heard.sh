#!/usr/bin/env bash
# RTP may pad a packet (RFC 3550, section 5.1): the bit P says so, and the packet's last byte how many bytes at the
# end are no payload. Some ciphers need that, and datagrams that carry several packets. One expects a parser to take
# them off. rtp, of the BBC's research department, tells that the packet is padded, and leaves the padding in the
# payload, without an error. 20 ms of mu-law with four bytes of padding are 164 samples: in each packet three of full
# scale (zeros are the loudest byte of mu-law) and one that is the count, so that the caller buzzes at 50 Hz, and what
# is recorded lasts 2.5 % longer than the call.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check rtp==0.0.4
"$T/v/bin/python" - <<'E'
import struct
from importlib.metadata import version

from rtp import RTP

print("rtp", version("rtp"))
sound = bytes([0xFF]) * 160  # 20 ms of silence in mu-law
header = struct.pack(">BHII", 0, 1, 160, 7)
plain = RTP().fromBytes(b"\x80" + header + sound)
padded = RTP().fromBytes(b"\xa0" + header + sound + b"\0\0\0\4")
print("without padding: expected 160 bytes of payload, seen", len(plain.payload))
print("with 4 bytes of padding: expected 160 bytes of payload, seen", len(padded.payload))
assert (plain.padding, padded.padding) == (False, True)
assert bytes(plain.payload) == sound
assert bytes(padded.payload) == sound + b"\0\0\0\4", bytes(padded.payload)
E
