"""From an encapsulation's name to the bytes of one stream.

Outbound, a frame takes two steps. An `Encoding` makes it an *item*, the same bytes for every stream that uses
the encoding, so items can be cached and shared. Where a stream must add something of its own to each (an RTP
header, a client's mask, another rate), its `Wire.messages` makes items messages; elsewhere an item is the message.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from mediaserver.audio import g711
from mediaserver.audio.pcm import (
    FRAME_BYTES,
    FRAME_SAMPLES,
    FRAMES_PER_SECOND,
    SAMPLE_BYTES,
    SAMPLE_RATE,
    SILENCE,
    from_bytes,
    to_bytes,
)
from mediaserver.errors import ProtocolError
from mediaserver.wire import audiosocket, inbound, rtp, websocket
from mediaserver.wire.chan_websocket import MediaFormat
from mediaserver.wire.codec import Codec, InboundCodec, StreamCodec
from mediaserver.wire.packing import Packer


class Encapsulation(StrEnum):
    """VoIPBIN's three, by the names its API takes."""

    AUDIOSOCKET = "audiosocket"
    RTP = "rtp"
    SLN = "sln"


class Framing(StrEnum):
    """What an `audiosocket` binary message holds: raw PCM, or an AudioSocket message; `auto` asks the peer."""

    AUTO = "auto"
    PCM = "pcm"
    MESSAGE = "message"


class Carrier(StrEnum):
    """What carries the messages of a stream."""

    WEBSOCKET = "websocket"
    TCP = "tcp"  # AudioSocket only


class RtpPayload(StrEnum):
    """The payload of our RTP packets.

    `auto` sends what a peer that dialled us sends, PCMU while it has sent nothing. What we dialled takes L16 under
    the payload type that it sends itself.
    """

    AUTO = "auto"
    PCMU = "pcmu"
    PCMA = "pcma"
    L16 = "l16"


@dataclass(frozen=True, slots=True)
class WireSettings:
    """How a stream is asked to speak."""

    encapsulation: Encapsulation = Encapsulation.AUDIOSOCKET
    framing: Framing = Framing.AUTO
    rtp_payload: RtpPayload = RtpPayload.AUTO
    inbound: InboundCodec = InboundCodec.AUTO
    lead: int = 0  # frames sent ahead of their time


@dataclass(frozen=True, slots=True)
class Encoding:
    """Frames to items: a constant header, then one frame's samples at `sample_bytes` each."""

    name: str
    header: bytes = b""
    sample_bytes: int = SAMPLE_BYTES
    compand: Callable[[bytes], bytes] = bytes
    expand: Callable[[bytes], bytes] = bytes

    @property
    def silence(self) -> bytes:
        """The item of one silent frame."""
        return self.encode(SILENCE)

    def encode(self, frame: bytes) -> bytes:
        """The item of one 320-byte frame."""
        return self.header + self.compand(frame)

    def decode(self, item: bytes) -> bytes:
        """The 320-byte frame of an item, as far as companding keeps it."""
        return self.expand(item[len(self.header) :])

    def packetize(self, pcm: bytes) -> list[bytes]:
        """The items of any length of PCM, its last partial frame padded with silence."""
        pcm += bytes(-len(pcm) % FRAME_BYTES)
        body, step, header = self.compand(pcm), self.sample_bytes * FRAME_SAMPLES, self.header
        return [header + body[at : at + step] for at in range(0, len(body), step)]


_MULAW = (
    lambda pcm: g711.mulaw_encode(from_bytes(pcm)),
    lambda codes: to_bytes(g711.mulaw_decode(codes)),
)
_ALAW = (
    lambda pcm: g711.alaw_encode(from_bytes(pcm)),
    lambda codes: to_bytes(g711.alaw_decode(codes)),
)
PCM = Encoding("pcm", websocket.header(FRAME_BYTES))
_AUDIOSOCKET_HEADER = audiosocket.header(audiosocket.Kind.SLIN, FRAME_BYTES)
MESSAGE = Encoding("message", websocket.header(audiosocket.HEADER_BYTES + FRAME_BYTES) + _AUDIOSOCKET_HEADER)
TCP = Encoding("tcp", _AUDIOSOCKET_HEADER)
ULAW = Encoding("ulaw", websocket.header(FRAME_SAMPLES), 1, *_MULAW)
ALAW = Encoding("alaw", websocket.header(FRAME_SAMPLES), 1, *_ALAW)
# Bare ones, whose header is each stream's own.
PCMU = Encoding("pcmu", b"", 1, *_MULAW)
PCMA = Encoding("pcma", b"", 1, *_ALAW)
L16 = Encoding("l16")

_RTP_ENCODINGS = {rtp.PayloadType.PCMU: PCMU, rtp.PayloadType.PCMA: PCMA, rtp.PayloadType.L16: L16}
_PAYLOAD_TYPES = {encoding.name: kind for kind, encoding in _RTP_ENCODINGS.items()}


# Frames of 20 ms at 8 kHz, by codec: ready-made WebSocket messages, and bare.
_READY = {Codec.SLIN: PCM, Codec.MULAW: ULAW, Codec.ALAW: ALAW}
_BARE = {Codec.SLIN: L16, Codec.MULAW: PCMU, Codec.ALAW: PCMA}
_MOST_LEAD = 3  # frames: conferences lose what runs further ahead; `chan_websocket` has a queue of its own


def first_encoding(settings: WireSettings) -> Encoding:
    """The encoding a stream with these settings starts in, as long as its peer says nothing."""
    if settings.encapsulation == Encapsulation.RTP:
        return {RtpPayload.PCMA: PCMA, RtpPayload.L16: L16}.get(settings.rtp_payload, PCMU)
    framed = settings.encapsulation == Encapsulation.AUDIOSOCKET and settings.framing == Framing.MESSAGE
    return MESSAGE if framed else PCM


class Wire:
    """One stream's wire format: its settings, what `auto` makes of them, and both directions' state.

    `random_key` makes it a client's: every message is masked with four bytes of it, an `audiosocket` framing that
    the peer's first message does not decide becomes `message`, and the peer is taken for the platform, which sends
    µ-law.
    """

    def __init__(
        self,
        settings: WireSettings,
        random_key: Callable[[], bytes] | None = None,
        carrier: Carrier = Carrier.WEBSOCKET,
    ) -> None:
        self.settings = settings
        self.media_format: MediaFormat | None = None  # what Asterisk's WebSocket channel has named
        self.unspoken = ""  # the format that it has named, where we do not speak that
        self._carrier, self._dialled = carrier, random_key is not None
        self._mask = (lambda message: websocket.mask(message, random_key())) if random_key else None
        self._packer: Packer | None = None
        self._wideband = ""  # the format of a channel on TCP that is not at 8 kHz, for people
        self._rtp: rtp.Packetizer | None = None
        self._audiosocket: inbound.AudioSocket | None = None
        self._open = self._is_auto()  # whether a message of the peer's may still change how we speak
        self.encoding = self._first_encoding()
        if settings.encapsulation == Encapsulation.RTP:
            self._rtp = rtp.Packetizer(_PAYLOAD_TYPES[self.encoding.name])
        self.inbound = self._depacketizer(StreamCodec(settings.inbound, Codec.MULAW if self._dialled else None))

    def _is_auto(self) -> bool:
        match self.settings.encapsulation:
            case Encapsulation.AUDIOSOCKET:
                return self.settings.framing == Framing.AUTO or self._carrier is Carrier.TCP
            case Encapsulation.RTP:
                return self.settings.rtp_payload == RtpPayload.AUTO
        return False

    def _first_encoding(self) -> Encoding:
        if self._carrier is Carrier.TCP:
            return TCP
        if self._dialled and self._open:
            return L16 if self.settings.encapsulation == Encapsulation.RTP else MESSAGE
        return first_encoding(self.settings)

    def _depacketizer(self, codec: StreamCodec) -> inbound.Depacketizer:
        match self.settings.encapsulation:
            case Encapsulation.RTP:
                return inbound.Rtp(codec, trusted=not self._dialled)
            case Encapsulation.SLN:
                return inbound.Bare(codec)
        framed = {Framing.MESSAGE: True, Framing.PCM: False}.get(self.settings.framing)
        if self._carrier is Carrier.TCP:
            framed = True
        self._audiosocket = inbound.AudioSocket(codec, framed)
        return self._audiosocket

    def use_format(self, media_format: MediaFormat) -> None:
        """Speak and hear what Asterisk's WebSocket channel has named; what plays must ask for `messages` again."""
        self.media_format, self._open, self._rtp, self._audiosocket = media_format, False, None, None
        codec, at_8_khz = media_format.codec, media_format.rate == SAMPLE_RATE
        if at_8_khz:
            settled = StreamCodec()
            settled.settle(codec)
            self.inbound = inbound.Bare(settled)
        else:
            self.inbound = inbound.Resampled(codec, media_format.rate)
        if at_8_khz and media_format.frame_bytes == media_format.ptime_bytes:
            self.encoding, self._packer = _READY[codec], None
        else:
            self.encoding, self._packer = _BARE[codec], Packer(media_format.rate, media_format.frame_bytes)

    def messages(self, items: Iterable[bytes]) -> Iterator[bytes]:
        """Items as whole messages of this stream, lazily; empty ones where a message takes several items."""
        if self._rtp is not None:
            items = self._rtp.packets(items)
        elif self._packer is not None:
            items = map(self._packer.pack, items)
        if self._mask is not None:
            items = map(self._mask, items)
        return iter(items)

    @property
    def lead(self) -> int:
        """Frames that are sent ahead of their time."""
        return self.settings.lead if self.media_format is not None else min(self.settings.lead, _MOST_LEAD)

    def rest(self) -> bytes:
        """A last message, of what is left of a peer's frame that is longer than ours; b"" where nothing is."""
        return self._packer.rest(self.encoding.silence) if self._packer is not None else b""

    @property
    def marks_talkspurts(self) -> bool:
        """Whether the far end is told where sound follows silence."""
        return self._rtp is not None

    def talkspurt(self, *, begins: bool = True) -> None:
        """Sound follows silence with the next message, or it does not after all."""
        if self._rtp is not None:
            self._rtp.talkspurt(begins=begins)

    @property
    def listening(self) -> bool:
        """Whether the peer's first message decides how we speak from the first frame on."""
        return self._open and self._rtp is None and not self._dialled and self._carrier is not Carrier.TCP

    @property
    def undecided(self) -> bool:
        """Whether a message of the peer's may still change how we speak."""
        return self._open

    def settle(self) -> None:
        """The first frame is due: a framing still open becomes what it is.

        RTP and TCP stay open for the peer's first sound, and so does what we dialled: there silence is sent until
        the peer speaks.
        """
        if self._rtp is None and not self._dialled and self._carrier is not Carrier.TCP:
            self._open = False

    def observe(self, data: bytes) -> bool:
        """Take in a binary message of the peer's while `auto` is open; True where what we send changes."""
        if not self._open:
            return False
        if self._rtp is not None:
            return self._follow(data, self._rtp)
        if self._carrier is Carrier.TCP:
            return self._follow_rate(data[0])
        before = self.encoding
        self._open = False
        framed = audiosocket.is_message(data)
        self.encoding = MESSAGE if framed else PCM
        if self._audiosocket is not None:
            self._audiosocket.framed = framed
        return self.encoding is not before

    def _follow_rate(self, kind: int) -> bool:
        """Speak AudioSocket at the rate at which the peer does; True where that is another than 8 kHz."""
        rate = audiosocket.RATES.get(kind)
        self._open = kind != audiosocket.Kind.SLIN and rate is None
        if rate is None:
            return False
        size = rate // FRAMES_PER_SECOND * SAMPLE_BYTES
        head = audiosocket.header(kind, size)
        self.encoding, self._packer = L16, Packer(rate, size, lambda frame: head + frame)
        self._wideband = f"/slin{rate // 1000}"
        return True

    def _follow(self, data: bytes, packetizer: rtp.Packetizer) -> bool:
        """Speak RTP as the peer does; True where that is another way than before."""
        try:
            heard = rtp.payload_type(rtp.parse(data))
        except ProtocolError:
            return False  # not sound of ours; the next packet may be
        self._open = False
        if self._dialled:  # it takes linear samples under the payload type that it sends µ-law under
            packetizer.use(heard, FRAME_BYTES)
            return heard != rtp.PayloadType.L16
        before, self.encoding = self.encoding, _RTP_ENCODINGS[heard]
        packetizer.use(heard)
        return self.encoding is not before

    @property
    def name(self) -> str:
        """What the stream speaks, for people: `audiosocket/message`, `rtp/pcmu`, `chan_websocket/ulaw`."""
        if self.media_format is not None or self.unspoken:
            return f"chan_websocket/{self.media_format.name if self.media_format else self.unspoken}"
        if self._carrier is Carrier.TCP:
            return f"{self.settings.encapsulation}/{TCP.name}{self._wideband}"
        return f"{self.settings.encapsulation}/{self.encoding.name}"
