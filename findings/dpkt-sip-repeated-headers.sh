#!/usr/bin/env bash
# A SIP message has a Via for each proxy on its way, and may have several Record-Route: the lines' order is the way back.
# A header may be written short ("v" for Via, "l" for Content-Length), and go on in the next line if that begins with a
# blank (RFC 3261, 7.3.1 and 7.3.3). One expects dpkt, whose bytes() gives each packet as it was read, to do so of
# dpkt.sip.Request, and to find the body by "l: 4".
# Of headers that come more than once it writes Python's list into one line, "via: ['SIP/2.0/UDP b', 'SIP/2.0/UDP a']".
# With "l" it finds no body. A header that goes on in the next line is an UnpackError. With one of each, in their
# long names, all is right.
# A capture that was filtered, or had its addresses replaced, with dpkt is no SIP any more, and calls in it have no SDP.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check dpkt==1.9.8
"$T/v/bin/python" - <<'E'
import dpkt
print("dpkt", dpkt.__version__)
print("expected: each message as it was read, and its body, abcd")

def message(*headers):
    return "\r\n".join(["INVITE sip:bob@b.example SIP/2.0", *headers, "", "abcd"]).encode()

def show(raw):
    try:
        request = dpkt.sip.Request(raw)
    except dpkt.UnpackError as error:
        print("seen: UnpackError", error)
        return None, None
    written = bytes(request)
    print("seen:", written.split(b"\r\n\r\n")[0].decode().split("\r\n")[1:], "body", request.body)
    return written.decode(), request.body

one = message("via: SIP/2.0/UDP a;branch=z9hG4bK1", "call-id: 1", "content-length: 4")
assert show(one) == (one.decode(), b"abcd")
written, body = show(message("via: SIP/2.0/UDP b;branch=z9hG4bK2", "via: SIP/2.0/UDP a;branch=z9hG4bK1", "content-length: 4"))
assert body == b"abcd" and "via: ['SIP/2.0/UDP b;branch=z9hG4bK2', 'SIP/2.0/UDP a;branch=z9hG4bK1']\r\n" in written
written, body = show(message("v: SIP/2.0/UDP a;branch=z9hG4bK1", "i: 1", "l: 4"))
assert body == b"" and not written.endswith("abcd")
assert show(message("via: SIP/2.0/UDP a;branch=z9hG4bK1", "subject: I know you're there,", " pick up the phone", "content-length: 4")) == (None, None)
E
