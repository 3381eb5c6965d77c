"""From an encapsulation's name to the bytes of one stream.

Outbound, a frame takes two steps. An `Encoding` makes it an *item*, the same bytes for every stream that uses
the encoding, so items can be cached and shared. Where a stream must add something of its own to each (an RTP
header, a client's mask), its `Wire.messages` makes items messages; elsewhere an item is the message.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from mediaserver.audio import g711
from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_BYTES, SILENCE, from_bytes, to_bytes
from mediaserver.errors import ProtocolError
from mediaserver.wire import audiosocket, inbound, rtp, websocket


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


class RtpPayload(StrEnum):
    """The payload of our RTP packets; `auto` sends what the peer sends, PCMU while it has sent nothing."""

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


PCM = Encoding("pcm", websocket.header(FRAME_BYTES))
MESSAGE = Encoding(
    "message",
    websocket.header(audiosocket.HEADER_BYTES + FRAME_BYTES)
    + audiosocket.header(audiosocket.Kind.SLIN, FRAME_BYTES),
)
PCMU = Encoding(
    "pcmu",
    sample_bytes=1,
    compand=lambda pcm: g711.mulaw_encode(from_bytes(pcm)),
    expand=lambda codes: to_bytes(g711.mulaw_decode(codes)),
)
PCMA = Encoding(
    "pcma",
    sample_bytes=1,
    compand=lambda pcm: g711.alaw_encode(from_bytes(pcm)),
    expand=lambda codes: to_bytes(g711.alaw_decode(codes)),
)
L16 = Encoding("l16")

_RTP_ENCODINGS = {rtp.PayloadType.PCMU: PCMU, rtp.PayloadType.PCMA: PCMA, rtp.PayloadType.L16: L16}
_PAYLOAD_TYPES = {encoding.name: kind for kind, encoding in _RTP_ENCODINGS.items()}


def first_encoding(settings: WireSettings) -> Encoding:
    """The encoding a stream with these settings starts in, as long as its peer says nothing."""
    if settings.encapsulation == Encapsulation.RTP:
        return {RtpPayload.PCMA: PCMA, RtpPayload.L16: L16}.get(settings.rtp_payload, PCMU)
    framed = settings.encapsulation == Encapsulation.AUDIOSOCKET and settings.framing == Framing.MESSAGE
    return MESSAGE if framed else PCM


class Wire:
    """One stream's wire format: its settings, what `auto` makes of them, and both directions' state.

    `random_key` makes it a client's: every message is masked with four bytes of it, and an `audiosocket` framing
    that the peer's first message does not decide becomes `message`, which the platform wants.
    """

    def __init__(self, settings: WireSettings, random_key: Callable[[], bytes] | None = None) -> None:
        self.settings = settings
        self.encoding = first_encoding(settings)
        self._open = self._is_auto()
        self._audiosocket: inbound.AudioSocket | None = None
        self.inbound: inbound.Depacketizer
        match settings.encapsulation:
            case Encapsulation.RTP:
                self.inbound = inbound.Rtp()
            case Encapsulation.SLN:
                self.inbound = inbound.Linear()
            case Encapsulation.AUDIOSOCKET:
                framed = {Framing.MESSAGE: True, Framing.PCM: False}.get(settings.framing)
                self.inbound = self._audiosocket = inbound.AudioSocket(framed)
                if random_key is not None and self._open:
                    self.encoding = MESSAGE
        self._mask = (lambda message: websocket.mask(message, random_key())) if random_key else None
        is_rtp = settings.encapsulation == Encapsulation.RTP
        self._rtp = rtp.Packetizer(_PAYLOAD_TYPES[self.encoding.name]) if is_rtp else None

    def _is_auto(self) -> bool:
        match self.settings.encapsulation:
            case Encapsulation.AUDIOSOCKET:
                return self.settings.framing == Framing.AUTO
            case Encapsulation.RTP:
                return self.settings.rtp_payload == RtpPayload.AUTO
        return False

    def messages(self, items: Iterable[bytes]) -> Iterator[bytes]:
        """Items as whole WebSocket messages of this stream, lazily."""
        if self._rtp is not None:
            items = self._rtp.packets(items)
        if self._mask is not None:
            items = map(self._mask, items)
        return iter(items)

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
        return self._open and self._rtp is None

    @property
    def undecided(self) -> bool:
        """Whether a message of the peer's may still change how we speak."""
        return self._open

    def settle(self) -> None:
        """The first frame is due: a framing still open becomes what it is (RTP stays open for the peer's)."""
        if self._rtp is None:
            self._open = False

    def observe(self, data: bytes) -> bool:
        """Take in a binary message of the peer's while `auto` is open; True where the encoding changed."""
        if not self._open:
            return False
        before = self.encoding
        if self._rtp is None:
            self._open = False
            framed = audiosocket.is_message(data)
            self.encoding = MESSAGE if framed else PCM
            if self._audiosocket is not None:
                self._audiosocket.framed = framed
        else:
            self._follow(data, self._rtp)
        return self.encoding is not before

    def _follow(self, data: bytes, packetizer: rtp.Packetizer) -> None:
        try:
            heard = rtp.PayloadType(rtp.parse(data).payload_type)
        except (ProtocolError, ValueError):
            return  # not sound of ours; the next packet may be
        self._open = False
        self.encoding = _RTP_ENCODINGS[heard]
        packetizer.use(heard)

    @property
    def framing(self) -> str:
        """What the stream speaks in the end, for people: `pcm`, `message`, `pcmu`, `pcma` or `l16`."""
        return self.encoding.name
