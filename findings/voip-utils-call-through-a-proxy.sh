#!/usr/bin/env bash
# voip-utils is the SIP of Home Assistant. A call that comes through a proxy has two Via headers; the answer has both, in
# their order, so that it finds its way back (RFC 3261, 8.2.6.2). A caller's name of plain words needs no quotes
# ("From: John Smith <sip:...>", 25.1, display-name), and may be empty in quotes. One expects its server to answer such
# calls as it answers others.
# It keeps the last header of each name: the answer has the caller's Via and not the proxy's. A proxy that gets it finds
# a Via on top that is not its own, and by 18.1.2 drops it. A name of two words without quotes, or "", is an "Invalid SIP
# header" in the log, and the call gets no answer at all. One Via, and one word or quotes, are right.
# Phones that are registered at a proxy ring until they give up; those that call directly are answered.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check voip-utils==0.5.0
"$T/v/bin/python" - <<'E'
import asyncio, logging, re
from importlib.metadata import version
from voip_utils.sip import SdpInfo, SipDatagramProtocol
print("voip-utils", version("voip-utils"))
print("expected: an answer with the Via headers of the call, in their order")
logging.disable(logging.CRITICAL)

class Server(SipDatagramProtocol):
    def on_call(self, call):
        self.answer(call, 4000)

class Caller(asyncio.DatagramProtocol):
    def __init__(self):
        self.answers = asyncio.Queue()

    def datagram_received(self, data, address):
        self.answers.put_nowait(data.decode())

SDP = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 5000 RTP/AVP 123\r\na=rtpmap:123 opus/48000/2\r\n"
HERE, PHONE = "SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK1", "SIP/2.0/UDP 192.0.2.10:5060;branch=z9hG4bK2"

async def main():
    loop = asyncio.get_running_loop()
    server, _ = await loop.create_datagram_endpoint(lambda: Server(SdpInfo("test", 1, "test", "1")), ("127.0.0.1", 0))
    to = server.get_extra_info("sockname")
    caller, protocol = await loop.create_datagram_endpoint(Caller, ("127.0.0.1", 0))
    port = caller.get_extra_info("sockname")[1]

    def invite(vias, name, call):
        lines = [f"INVITE sip:home@127.0.0.1:{to[1]} SIP/2.0", *(f"Via: {via.format(port=port)}" for via in vias), f"From: {name}<sip:john@192.0.2.10>;tag=1",
                 f"To: <sip:home@127.0.0.1:{to[1]}>", f"Call-ID: {call}", "CSeq: 1 INVITE", "Contact: <sip:john@192.0.2.10>",
                 "Max-Forwards: 70", "Content-Type: application/sdp", f"Content-Length: {len(SDP)}", "", ""]
        caller.sendto(("\r\n".join(lines) + SDP).encode(), to)

    for number, (vias, name, seen) in enumerate((
        ([HERE], "John ", [HERE]), ([HERE], '"John Smith" ', [HERE]),
        ([HERE, PHONE], "John ", [PHONE]), ([HERE], "John Smith ", None), ([HERE], '"" ', None),
    )):
        invite(vias, name, f"{number}a")
        invite([HERE], "John ", f"{number}b")  # its answer comes behind that of the first, if there is one
        answer = await protocol.answers.get()
        got = None if f"Call-ID: {number}b" in answer else re.findall("^Via: (.*)\r$", answer, re.M)
        if got is not None:
            assert answer.startswith("SIP/2.0 200 OK") and f"Call-ID: {number}a" in answer
            await protocol.answers.get()
        print(f"seen: {len(vias)} Via, From: {name}<...>:", "no answer" if got is None else f"an answer with {got}")
        assert got == (seen and [via.format(port=port) for via in seen])

asyncio.run(asyncio.wait_for(main(), 40))
E
