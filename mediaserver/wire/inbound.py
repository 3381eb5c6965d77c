"""What a peer sends, message by message, as events in the right order, and what was wrong with its arrival.

There is one decoder for all encapsulations (`wire.codec`). A depacketizer takes a message apart into payloads, and
says which payload is sound.
"""

from abc import ABC, abstractmethod

from mediaserver.audio.pcm import FRAME_SAMPLES, FRAMES_PER_SECOND, SAMPLE_BYTES
from mediaserver.audio.resample import Resampler
from mediaserver.wire import audiosocket, rtp
from mediaserver.wire.codec import Codec, StreamCodec
from mediaserver.wire.events import Audio, Event
from mediaserver.wire.jitter import Jitter, JitterBuffer, distance

_RTP_LAWS = {rtp.PayloadType.PCMU: Codec.MULAW, rtp.PayloadType.PCMA: Codec.ALAW}


class Depacketizer(ABC):
    """One connection's inbound half.

    `frame_size` is the size of a message that holds one frame of sound and nothing else, once the codec is
    settled; 0 before. Where nobody listens, such a message need not be looked at.
    """

    def __init__(self, codec: StreamCodec) -> None:
        self.codec = codec
        self.buffer = JitterBuffer()  # what was lost, late, doubled, where the encapsulation can tell
        self.jitter = Jitter()
        self.frame_size = 0
        self.samples = 0  # of decoded sound, at 8 kHz

    def begin(self) -> None:
        """Somebody begins to listen: what came before is neither missing nor late."""
        self.jitter = Jitter()

    @abstractmethod
    def depacketize(self, data: bytes, at: float) -> list[Event]:
        """The events that a binary message, arrived at `at` seconds, completes; ProtocolError where it is none."""

    def _decode(self, payload: bytes, at: float) -> Audio:
        """A payload on a byte stream, which loses nothing and keeps its order."""
        pcm = self.codec.decode(payload)
        if not self.frame_size:
            self._know_frame_size()
        return self._arrived(Audio(pcm), at)

    def _know_frame_size(self) -> None:
        if self.codec.settled and self.codec.codec is not None:
            self.frame_size = self._message_size(self.codec.codec.frame_bytes)

    def _message_size(self, payload: int) -> int:
        """The size of a message with so many bytes of payload."""
        return payload

    def _arrived(self, audio: Audio, at: float) -> Audio:
        self.jitter.arrived(at, self.samples)
        self.samples += len(audio.pcm) // SAMPLE_BYTES
        return audio


class Rtp(Depacketizer):
    """RTP packets, put in order by their sequence numbers.

    RFC 3551's static payload types name their codec, except on what we dialled: VoIPBIN's payload types say
    nothing of the codec, so there the size of the payload decides.
    """

    def __init__(self, codec: StreamCodec, *, trusted: bool = True) -> None:
        super().__init__(codec)
        self._trusted = trusted
        self._place = 0  # of the latest packet, counted on past 65535

    def begin(self) -> None:
        """A sequence begins with the next packet."""
        super().begin()
        self.buffer = JitterBuffer()

    def depacketize(self, data: bytes, at: float) -> list[Event]:
        """The audio that is in order now."""
        packet = rtp.parse(data)
        pcm = self._decoded(packet)
        self.samples += len(pcm) // SAMPLE_BYTES
        self._place += distance(packet.sequence, self._place)
        self.jitter.arrived(at, self._place * FRAME_SAMPLES)
        return [*self.buffer.put(packet.sequence, pcm, at)]

    def _decoded(self, packet: rtp.Packet) -> bytes:
        kind = rtp.payload_type(packet)
        if not packet.payload:  # keeps a path through a NAT open (RFC 6263)
            return b""
        law = _RTP_LAWS.get(kind)
        if law is not None and self._trusted and not self.codec.settled:
            self.codec.codec, self.frame_size = law, rtp.HEADER_BYTES + law.frame_bytes
            return law.decode(packet.payload)
        pcm = self.codec.decode(packet.payload, law or Codec.MULAW)
        self._know_frame_size()
        return pcm

    def _message_size(self, payload: int) -> int:
        return rtp.HEADER_BYTES + payload


class Bare(Depacketizer):
    """Payloads without any header."""

    def depacketize(self, data: bytes, at: float) -> list[Event]:
        """The audio of one message."""
        return [self._decode(data, at)]


class AudioSocket(Depacketizer):
    """AudioSocket messages where `framed`, raw payloads where not; None until the first message decides."""

    def __init__(self, codec: StreamCodec, framed: bool | None) -> None:
        super().__init__(codec)
        self.framed = framed
        self._wideband: dict[int, Resampler] = {}  # by AudioSocket kind

    def depacketize(self, data: bytes, at: float) -> list[Event]:
        """The events of one message."""
        if self.framed is None:  # decided once: some raw frames look like a message by chance
            self.framed = audiosocket.is_message(data)
        if not self.framed:
            return [self._decode(data, at)]
        if (payload := audiosocket.lone_audio(data)) is not None:  # nearly every message
            return [self._decode(payload, at)]
        return [event for message in audiosocket.parse(data) for event in self._events(message, at)]

    def _events(self, message: audiosocket.Message, at: float) -> list[Event]:
        if message.kind == audiosocket.Kind.SLIN:
            return [self._decode(message.payload, at)]
        if (rate := audiosocket.RATES.get(message.kind)) is not None:
            if message.kind not in self._wideband:
                self._wideband[message.kind] = Resampler(rate)
            pcm = self._wideband[message.kind].feed(Codec.SLIN.decode(message.payload))
            self.codec.codec = Codec.SLIN
            if len(message.payload) == rate // FRAMES_PER_SECOND * SAMPLE_BYTES:
                self.frame_size = self._message_size(len(message.payload))
            return [self._arrived(Audio(pcm), at)] if pcm else []
        return [audiosocket.event(message)]

    def _message_size(self, payload: int) -> int:
        return payload + audiosocket.HEADER_BYTES if self.framed else payload


class Resampled(Depacketizer):
    """Payloads without any header, in a codec and at a rate that the peer has named, such as `slin16`."""

    def __init__(self, codec: Codec, rate: int) -> None:
        settled = StreamCodec()
        settled.settle(codec)
        super().__init__(settled)
        self._resampler = Resampler(rate)

    def depacketize(self, data: bytes, at: float) -> list[Event]:
        """The audio at 8 kHz that one message completes."""
        pcm = self._resampler.feed(self.codec.decode(data))
        self.frame_size = len(data)
        return [self._arrived(Audio(pcm), at)] if pcm else []
