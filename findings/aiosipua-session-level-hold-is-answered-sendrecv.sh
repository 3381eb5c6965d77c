#!/usr/bin/env bash
# A direction in SDP may stand once for the whole session, and holds for each media
# section without one of its own (RFC 8866, section 6.7); telephones put a call on hold
# so. One expects aiosipua, which answers "sendonly" with "recvonly" (RFC 3264), to do
# the same for both places.
# It looks at the media section alone: a call that was put on hold by a line of the
# session is answered with sendrecv, and the application that asks is told sendrecv.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check aiosipua==0.7.1
"$T/v/bin/python" - <<'E'
from importlib.metadata import version
from aiosipua.sdp import negotiate_sdp, parse_sdp
print("aiosipua", version("aiosipua"))
print("expected: recvonly in both answers")

def answered(session, media):
    lines = ["v=0", "o=- 1 2 IN IP4 192.0.2.1", "s=-", "c=IN IP4 192.0.2.1", "t=0 0", *session]
    offer = parse_sdp("\r\n".join([*lines, "m=audio 4000 RTP/AVP 0", *media, ""]))
    answer, _ = negotiate_sdp(offer, "192.0.2.2", 5000)
    return offer.audio.direction, answer.audio.direction

hold = ["a=sendonly"]
for place, found in (("media section", answered([], hold)), ("session", answered(hold, []))):
    print(f"seen: a=sendonly in the {place}: offered {found[0]}, answered {found[1]}")
assert answered([], hold) == ("sendonly", "recvonly")
assert answered(hold, []) == ("sendrecv", "sendrecv")
E
