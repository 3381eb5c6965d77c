"""The codec of what is heard, decided once for each stream.

A platform may send G.711 where its encapsulation says linear: VoIPBIN has Asterisk send 160 bytes of µ-law
under AudioSocket's kind 0x10, under RTP's payload type 96, and bare. Only the payloads tell. Their rate does not:
after a stall of the network everything comes at once. So a codec is decided from the size and the silence of
payloads, and is then kept over stalls and over messages of any other size, such as the short last frame of a file.
"""

from enum import StrEnum

from mediaserver.audio import g711
from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_BYTES, to_bytes
from mediaserver.errors import ProtocolError

_ENOUGH = 3  # payloads in a row whose size says the same
_LEAST_SILENCE = 80  # bytes of one value that are silence: 10 ms of G.711


class Codec(StrEnum):
    """How samples are coded in payloads, all of them at 8 kHz unless a wire says otherwise."""

    SLIN = "slin"  # 16-bit signed linear, little-endian
    MULAW = "mulaw"  # ITU-T G.711 µ-law
    ALAW = "alaw"  # ITU-T G.711 A-law

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample."""
        return SAMPLE_BYTES if self is Codec.SLIN else 1

    @property
    def frame_bytes(self) -> int:
        """Bytes of one 20 ms frame at 8 kHz."""
        return FRAME_SAMPLES * self.sample_bytes

    def decode(self, payload: bytes) -> bytes:
        """The 16-bit little-endian PCM of a payload; ProtocolError where it is empty, or half a sample."""
        if not payload or (self is Codec.SLIN and len(payload) % SAMPLE_BYTES):
            raise ProtocolError(f"{len(payload)} bytes are not 16-bit PCM")
        match self:
            case Codec.MULAW:
                return to_bytes(g711.mulaw_decode(payload))
            case Codec.ALAW:
                return to_bytes(g711.alaw_decode(payload))
        return payload


class InboundCodec(StrEnum):
    """The setting `inbound`: a codec, or `auto`, which decides by what comes."""

    AUTO = "auto"
    SLIN = "slin"
    MULAW = "mulaw"
    ALAW = "alaw"


# Digital silence: every byte of a payload is the code of 0. µ-law and A-law have two zeros each (ITU-T G.711).
_SILENCE = {0x00: Codec.SLIN, 0xFF: Codec.MULAW, 0x7F: Codec.MULAW, 0xD5: Codec.ALAW, 0x55: Codec.ALAW}


class StreamCodec:
    """Decides the codec of one stream's inbound payloads, and keeps it.

    `expected` is what the stream starts with: µ-law where we dialled the platform, nothing where a peer dialled.
    """

    __slots__ = ("_votes", "codec", "settled")

    def __init__(self, setting: InboundCodec = InboundCodec.AUTO, expected: Codec | None = None) -> None:
        self.settled = setting is not InboundCodec.AUTO
        self.codec = Codec(setting) if self.settled else expected
        self._votes = 0

    def settle(self, codec: Codec) -> None:
        """The peer has said what it sends."""
        self.codec, self.settled = codec, True

    def observe(self, payload: bytes, g711_law: Codec = Codec.MULAW) -> None:
        """Take in the payload of one message while the codec is open. `g711_law` is what 160 bytes mean."""
        size = len(payload)
        if size >= _LEAST_SILENCE and payload.count(payload[:1]) == size:
            silent = _SILENCE.get(payload[0])
            # Linear samples of -1, or of another constant, look like G.711 silence of another length than 20 ms.
            if silent is not None and (silent in (Codec.SLIN, self.codec) or size == FRAME_SAMPLES):
                self.settle(silent)
            return
        if size not in (FRAME_BYTES, FRAME_SAMPLES):
            return
        seen = Codec.SLIN if size == FRAME_BYTES else g711_law
        self._votes = self._votes + 1 if seen is self.codec else 1
        self.codec = seen
        self.settled = self._votes >= _ENOUGH

    def decode(self, payload: bytes, g711_law: Codec = Codec.MULAW) -> bytes:
        """The PCM of a payload; ProtocolError where it is none. Without any sign the payload is linear."""
        if not self.settled:
            self.observe(payload, g711_law)
        return (self.codec or Codec.SLIN).decode(payload)

    def __str__(self) -> str:
        return str(self.codec or InboundCodec.AUTO)
