"""Audio codecs, and the detection of the codec that a peer sends.

A platform may send G.711 where its encapsulation says linear: VoIPBIN has Asterisk send 160 bytes of µ-law
under AudioSocket's kind 0x10, under RTP's payload type 96, and without a header. Only the payloads show the codec.
The rate of messages does not show it, because after a stall of the network many messages arrive at once. Therefore
the codec is decided from the sizes of payloads and from payloads of silence. Once decided, the codec no longer
changes: neither after a stall, nor with a payload of another size, such as the short last frame of a file.
"""

from enum import StrEnum

from mediaserver.audio import g711
from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_BYTES, to_bytes
from mediaserver.errors import ProtocolError

_REQUIRED_VOTES = 3  # number of payloads in a row whose sizes must imply the same codec before it is final
_MIN_SILENCE_BYTES = 80  # least size of a payload of equal bytes that counts as silence; 10 ms of G.711


class Codec(StrEnum):
    """How a payload encodes samples. The sample rate is 8 kHz unless the wire format names another rate."""

    SLIN = "slin"  # 16-bit signed linear, little-endian
    MULAW = "mulaw"  # ITU-T G.711 µ-law
    ALAW = "alaw"  # ITU-T G.711 A-law

    @property
    def sample_bytes(self) -> int:
        """The number of bytes of one sample in this codec."""
        return SAMPLE_BYTES if self is Codec.SLIN else 1

    @property
    def frame_bytes(self) -> int:
        """The number of bytes of a 20 ms frame at 8 kHz in this codec."""
        return FRAME_SAMPLES * self.sample_bytes

    def decode(self, payload: bytes) -> bytes:
        """Decode a payload to 16-bit little-endian PCM; ProtocolError if it is empty, or ends in half a sample."""
        if not payload or (self is Codec.SLIN and len(payload) % SAMPLE_BYTES):
            raise ProtocolError(f"{len(payload)} bytes are not 16-bit PCM")
        match self:
            case Codec.MULAW:
                return to_bytes(g711.mulaw_decode(payload))
            case Codec.ALAW:
                return to_bytes(g711.alaw_decode(payload))
        return payload


class InboundCodec(StrEnum):
    """The setting `inbound`: the codec of the peer's payloads, or `auto` to detect that codec."""

    AUTO = "auto"
    SLIN = Codec.SLIN.value
    MULAW = Codec.MULAW.value
    ALAW = Codec.ALAW.value


# The codec that a payload of digital silence implies, by the one byte that such a payload repeats: the code of a
# sample of 0. µ-law and A-law have two such codes each (ITU-T G.711).
_SILENCE = {0x00: Codec.SLIN, 0xFF: Codec.MULAW, 0x7F: Codec.MULAW, 0xD5: Codec.ALAW, 0x55: Codec.ALAW}


class CodecDetector:
    """Detects the codec of one stream's inbound payloads, and decodes them.

    `codec` is the codec assumed at present, None if there is no evidence yet. `decided` tells whether `codec` is
    final. `expected` is the codec assumed at first: µ-law on a stream that the server dialled, None on a stream
    that a peer dialled.
    """

    __slots__ = ("_votes", "codec", "decided")

    def __init__(self, setting: InboundCodec = InboundCodec.AUTO, expected: Codec | None = None) -> None:
        self.decided = setting is not InboundCodec.AUTO
        self.codec = Codec(setting) if self.decided else expected
        self._votes = 0

    def decide(self, codec: Codec) -> None:
        """Make `codec` final without detection, for example because the peer has named it."""
        self.codec, self.decided = codec, True

    def detect(self, payload: bytes, g711_law: Codec = Codec.MULAW) -> None:
        """Infer the codec from the payload of one message. This method is called only while no codec is final.

        `g711_law` is the codec assumed for a payload of 160 bytes, which may be µ-law or A-law.
        """
        size = len(payload)
        if size >= _MIN_SILENCE_BYTES and payload.count(payload[:1]) == size:
            silent = _SILENCE.get(payload[0])
            # Linear samples that are all -1 have the same bytes as silence in µ-law. So such a payload shows a law
            # of G.711 only if this law is assumed already, or if its 160 bytes are a frame of G.711, not of L16.
            if silent is not None and (silent in (Codec.SLIN, self.codec) or size == FRAME_SAMPLES):
                self.decide(silent)
            return
        if size not in (FRAME_BYTES, FRAME_SAMPLES):
            return
        implied = Codec.SLIN if size == FRAME_BYTES else g711_law
        self._votes = self._votes + 1 if implied is self.codec else 1
        self.codec = implied
        self.decided = self._votes >= _REQUIRED_VOTES

    def decode(self, payload: bytes, g711_law: Codec = Codec.MULAW) -> bytes:
        """Decode a payload to 16-bit little-endian PCM, and infer the codec from it while no codec is final.

        While no codec is assumed, the payload is taken as linear PCM. ProtocolError if the payload is empty, or
        ends in half a sample. `g711_law` is the codec assumed for a payload of 160 bytes.
        """
        if not self.decided:
            self.detect(payload, g711_law)
        return (self.codec or Codec.SLIN).decode(payload)

    def __str__(self) -> str:
        return str(self.codec or InboundCodec.AUTO)
