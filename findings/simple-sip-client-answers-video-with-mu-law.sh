#!/usr/bin/env bash
# A video phone offers audio and video. An answer has as many m= lines, and one that is not wanted has the port 0 (RFC
# 3264, 6). One expects an audio client to refuse the video so, its parser of SDP to give the address of the audio, and
# its caller to be found in "From: Alice <sip:alice@example.com>;tag=1", which is how RFC 3261 writes it.
# simple-sip-client accepts the video too: at the port of its audio, as PCMU, in the audio's payload type, also where the
# offer's video has the port 0 already. Its parser keeps one address for all, that of the last c= line, the video's
# (its own client does not use it). A name without quotation marks becomes a part of the
# scheme ("alice <sip"), and the host keeps the ">"; a URI with a parameter fares no better. All without an error.
# The phone is asked for its video in mu-law at the port of the sound, and an application does not know its callers.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check --no-deps simple-sip-client==0.0.3
"$T/v/bin/python" - <<'E'
import importlib.util
import sys
import types
from importlib.metadata import version

# The modules of the protocol need no sound card, which the package as a whole asks for.
root = importlib.util.find_spec("simple_sip").submodule_search_locations
sys.modules["simple_sip"] = types.ModuleType("simple_sip")
sys.modules["simple_sip"].__path__ = list(root)
from simple_sip.sip_message import parse_from_header
from simple_sip.sip_sdp import make_sdp_answer, parse_sdp

print("simple-sip-client", version("simple-sip-client"))
for port in (10002, 0):
    offer = "\r\n".join([
        "v=0", "o=- 1 1 IN IP4 192.0.2.1", "s=-", "t=0 0", "m=audio 10000 RTP/AVP 0", "c=IN IP4 192.0.2.11",
        f"m=video {port} RTP/AVP 96", "c=IN IP4 192.0.2.22", "a=rtpmap:96 VP8/90000", ""])
    answer = make_sdp_answer(offer, "198.51.100.1", 20000).split("\r\n")
    media = [line for line in answer if line.startswith("m=video") or line.startswith("a=rtpmap")]
    print(f"expected of m=video {port}: m=video 0 ...; seen: {media[1]}, {media[2]}")
    assert media[1:] == ["m=video 20000 RTP/AVP 0", "a=rtpmap:0 PCMU/8000"], media
    address = parse_sdp(offer).unicast_address
    print(f"expected for the sound: 192.0.2.11; seen: {address}")
    assert address == "192.0.2.22"
for header, scheme, host in (("Alice <sip:alice@example.com>;tag=1", "alice <sip", "example.com>"),
                             ('"Alice" <sip:alice@example.com>;tag=1', "sip", "example.com"),
                             ("<sip:alice@example.com;transport=tcp>;tag=1", "<sip", "example.com")):
    uri = parse_from_header(header)[1]
    print(f"From: {header}: expected sip and example.com; seen {uri.scheme} and {uri.host}")
    assert (uri.scheme, uri.host) == (scheme, host)
E
