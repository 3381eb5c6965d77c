#!/usr/bin/env bash
# One expects the PCMU encoder of a SIP/RTP library to encode silence as 0xFF
# and, decoded again, to give each sample back within one quantising step.
# The encoder of opensip (PyPI) picks the segment one too high: 0
# becomes 0xE7 (+260), quiet samples become hundreds, and half of full scale
# becomes full scale. Its decoder and its A-law encoder are right.
# A peer hears everything 6 to 11 dB louder with heavy distortion, and digital
# silence arrives as a DC offset of 260, which silence detectors by byte value miss.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check opensip==0.2.1
"$T/v/bin/python" - <<'E'
import struct
from importlib.metadata import version
from opensip.codecs import alaw_to_pcm, pcm_to_alaw, pcm_to_ulaw, ulaw_to_pcm
print("opensip", version("opensip"))
samples = [0, 1, 10, 100, 1000, 4000, -15484, 16000]
pack = lambda v: struct.pack(f"<{len(v)}h", *v)
unpack = lambda b: list(struct.unpack(f"<{len(b) // 2}h", b))
print("samples: ", samples)
print("expected: 0 -> 0xff, each decoded value within about 4 % of the sample")
codes = pcm_to_ulaw(pack(samples))
mu, a = unpack(ulaw_to_pcm(codes)), unpack(alaw_to_pcm(pcm_to_alaw(pack(samples))))
print("seen: codes ", codes.hex(" "))
print("seen: mu-law", mu)
print("seen: A-law ", a)
assert codes[0] == 0xE7 and mu[0] == 260 and mu[6] == -32124, (codes, mu)
assert all(abs(x - y) <= max(8, 0.04 * abs(x)) for x, y in zip(samples, a))
assert unpack(ulaw_to_pcm(b"\xff\x00\x80")) == [0, -32124, 32124]
E
