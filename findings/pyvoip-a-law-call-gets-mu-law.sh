#!/usr/bin/env bash
# Most of the world's telephones speak A-law (PCMA, payload type 8); pyVoIP lists it beside mu-law ("PCMU, PCMA"). One
# expects its RTPClient, with PCMA as the codec of the call, to send A-law under type 8, as it has an encode_pcma, and
# reads A-law from the peer.
# It sends mu-law under type 8. A peer that decodes what the packets say hears more noise than voice, and an offset of 848
# where there is silence. With PCMU all is right, and so is A-law from the peer, so that a test with PCMU, or one that
# only listens, never shows it.
# A bot on a European trunk understands its callers, and is not understood.
set -euo pipefail
T=$(mktemp -d); trap 'rm -rf "$T"' EXIT
python3 -m venv "$T/v"
"$T/v/bin/pip" install -qq --disable-pip-version-check pyVoIP==1.6.8 numpy==2.2.6 'audioop-lts==0.2.2; python_version >= "3.13"'
"$T/v/bin/python" -W ignore - <<'E'
import audioop, socket
from importlib.metadata import version
import numpy as np
from pyVoIP import RTP
from pyVoIP.VoIP import VoIP  # pyVoIP.RTP wants it imported
print("pyVoIP", version("pyVoIP"))
print("expected: the tone that was written, at 20 dB over the noise of 8 bits or more, with the codec that the packets name")
tone = (128 + 60 * np.sin(2 * np.pi * 400 * np.arange(80 * 160) / 8000)).astype(np.uint8).tobytes()  # unsigned, as it takes

def port():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]

def sent(codec, number):
    """Payload types and payloads of the packets that a client of that codec sends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.settimeout(20)
        client = RTP.RTPClient({number: codec}, "127.0.0.1", port(), *peer.getsockname(), RTP.TransmitType.SENDRECV)
        client.write(tone)
        client.start()
        packets = [peer.recv(2048) for _ in range(40)]
        client.stop()
    return {p[1] & 127 for p in packets}, b"".join(p[12:] for p in packets)

def ratio(heard):
    """Signal over noise: what a sine of 400 Hz leaves of the sound that was heard, in dB."""
    y = np.frombuffer(heard, "<i2").astype(float)
    t = np.arange(len(y)) / 8000
    basis = np.stack([np.sin(2 * np.pi * 400 * t), np.cos(2 * np.pi * 400 * t)], 1)
    fit = basis @ np.linalg.lstsq(basis, y, rcond=None)[0]
    return 10 * np.log10((fit ** 2).sum() / ((y - fit) ** 2).sum())

decoders = {0: audioop.ulaw2lin, 8: audioop.alaw2lin}
for codec, number, good in ((RTP.PayloadType.PCMU, 0, True), (RTP.PayloadType.PCMA, 8, False)):
    types, payload = sent(codec, number)
    right, other = (ratio(decoders[n](payload, 2)) for n in (number, 8 - number))
    print(f"seen: {codec}: payload type {types}: as {'A-law' if number else 'mu-law'} {right:.0f} dB, as the other {other:.0f} dB")
    assert types == {number}
    assert (right > 20 and other < 10) if good else (right < 10 and other > 20)
silence = RTP.RTPClient({8: RTP.PayloadType.PCMA}, "127.0.0.1", 0, "127.0.0.1", 0, RTP.TransmitType.SENDRECV).encode_packet(b"\x80" * 160)
level = set(np.frombuffer(audioop.alaw2lin(silence, 2), "<i2").tolist())
print("seen: silence by PCMA is", level)
assert level == {848}, level
E
