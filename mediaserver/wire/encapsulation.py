"""Encapsulations, under the names that settings use, and the encodings in which frames are sent.

An `Encoding` turns a frame of PCM into an *encoded frame*. The bytes of an encoded frame are the same for every
stream that uses the encoding, so encoded frames are cached and shared by streams. For most streams the encoded
frame is the whole message. Where a message differs from stream to stream (by an RTP header, a client's mask or
another sample rate), `Wire.messages` makes the message from the encoded frame.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from mediaserver.audio import g711
from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_BYTES, SILENCE
from mediaserver.wire import audiosocket, rtp, websocket
from mediaserver.wire.codec import Codec, InboundCodec


class Encapsulation(StrEnum):
    """The encapsulations of VoIPBIN (a telephony platform), by the names that its API takes."""

    AUDIOSOCKET = "audiosocket"
    RTP = "rtp"
    SLN = "sln"


class Framing(StrEnum):
    """The content of a binary message in the encapsulation `audiosocket`: raw PCM, or an AudioSocket message.

    With `auto`, sent messages have the same kind of content as the peer's first message.
    """

    AUTO = "auto"
    PCM = "pcm"
    MESSAGE = "message"


class Carrier(StrEnum):
    """The transport protocol that carries the messages of a stream."""

    WEBSOCKET = "websocket"
    TCP = "tcp"  # TCP carries only the encapsulation `audiosocket`


class RtpPayload(StrEnum):
    """The payload of the RTP packets that the server sends.

    With `auto`, a peer that dialled the server gets the payload type that it sends, and PCMU until its first
    packet. If the server dialled the platform, the server sends L16, in packets that have the same payload type
    number as the platform's packets.
    """

    AUTO = "auto"
    PCMU = "pcmu"
    PCMA = "pcma"
    L16 = "l16"


@dataclass(frozen=True, slots=True)
class WireSettings:
    """The settings that choose a stream's wire format."""

    encapsulation: Encapsulation = Encapsulation.AUDIOSOCKET
    framing: Framing = Framing.AUTO
    rtp_payload: RtpPayload = RtpPayload.AUTO
    inbound: InboundCodec = InboundCodec.AUTO
    lead: int = 0  # number of frames that are sent before they are due


@dataclass(frozen=True, slots=True)
class Encoding:
    """How a 320-byte frame of PCM is encoded: a constant header, then the samples, `sample_bytes` bytes each.

    `compand` turns PCM of any length into encoded samples, and `expand` turns encoded samples into PCM.
    """

    name: str
    header: bytes = b""
    sample_bytes: int = SAMPLE_BYTES
    compand: Callable[[bytes], bytes] = bytes
    expand: Callable[[bytes], bytes] = bytes

    @property
    def is_linear(self) -> bool:
        """Whether the encoded samples are the 16-bit PCM itself, so that frames can be mixed by adding samples."""
        return self.compand is bytes

    @property
    def silence(self) -> bytes:
        """The encoded frame of 20 ms of silence."""
        return self.encode(SILENCE)

    def encode(self, frame: bytes) -> bytes:
        """Encode a 320-byte frame of PCM."""
        return self.header + self.compand(frame)

    @property
    def encoder(self) -> Callable[[bytes], bytes]:
        """A function that does what `encode` does, and takes less time to call."""
        return self.header.__add__ if self.is_linear else self.encode

    def decode(self, encoded_frame: bytes) -> bytes:
        """Decode an encoded frame to 320 bytes of PCM. G.711 companding loses precision."""
        return self.expand(encoded_frame[len(self.header) :])

    def decode_all(self, encoded_frames: Iterable[bytes]) -> bytes:
        """Decode encoded frames to their PCM, one after another, in less time than one by one."""
        header = len(self.header)
        return self.expand(b"".join([frame[header:] for frame in encoded_frames]))

    def packetize(self, pcm: bytes) -> list[bytes]:
        """Cut PCM of any length into frames and encode each; a partial last frame is padded with silence."""
        pcm += bytes(-len(pcm) % FRAME_BYTES)
        body, step, header = self.compand(pcm), self.sample_bytes * FRAME_SAMPLES, self.header
        return [header + body[at : at + step] for at in range(0, len(body), step)]


_MULAW = (g711.mulaw_compand, g711.mulaw_expand)
_ALAW = (g711.alaw_compand, g711.alaw_expand)
_AUDIOSOCKET_HEADER = audiosocket.header(audiosocket.Kind.SLIN, FRAME_BYTES)
# Encodings whose encoded frame is a whole WebSocket message.
PCM = Encoding(Framing.PCM.value, websocket.header(FRAME_BYTES))
MESSAGE = Encoding(
    Framing.MESSAGE.value, websocket.header(audiosocket.HEADER_BYTES + FRAME_BYTES) + _AUDIOSOCKET_HEADER
)
ULAW = Encoding("ulaw", websocket.header(FRAME_SAMPLES), 1, *_MULAW)
ALAW = Encoding("alaw", websocket.header(FRAME_SAMPLES), 1, *_ALAW)
# The encoding whose encoded frame is a whole AudioSocket message on TCP.
TCP = Encoding(Carrier.TCP.value, _AUDIOSOCKET_HEADER)
# Encodings whose encoded frame is a payload without a header, because the header differs from stream to stream.
PCMU = Encoding(RtpPayload.PCMU.value, b"", 1, *_MULAW)
PCMA = Encoding(RtpPayload.PCMA.value, b"", 1, *_ALAW)
L16 = Encoding(RtpPayload.L16.value)

RTP_ENCODINGS = {rtp.PayloadType.PCMU: PCMU, rtp.PayloadType.PCMA: PCMA, rtp.PayloadType.L16: L16}
# The encodings at 8 kHz, by codec: first those whose encoded frames are whole WebSocket messages, then those whose
# encoded frames are payloads without a header.
MESSAGE_ENCODINGS = {Codec.SLIN: PCM, Codec.MULAW: ULAW, Codec.ALAW: ALAW}
PAYLOAD_ENCODINGS = {Codec.SLIN: L16, Codec.MULAW: PCMU, Codec.ALAW: PCMA}


def first_encoding(settings: WireSettings) -> Encoding:
    """The encoding of sent frames on a stream with these settings, before its peer has sent anything."""
    if settings.encapsulation == Encapsulation.RTP:
        return {RtpPayload.PCMA: PCMA, RtpPayload.L16: L16}.get(settings.rtp_payload, PCMU)
    framed = settings.encapsulation == Encapsulation.AUDIOSOCKET and settings.framing == Framing.MESSAGE
    return MESSAGE if framed else PCM
