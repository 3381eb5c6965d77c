"""What a peer sends, message by message, as events in the right order, and what was wrong with its arrival."""

from typing import Protocol

from mediaserver.audio.pcm import FRAME_SAMPLES, SAMPLE_BYTES
from mediaserver.errors import ProtocolError
from mediaserver.wire import audiosocket, rtp, sln
from mediaserver.wire.events import Audio, Event
from mediaserver.wire.jitter import Jitter, JitterBuffer, distance


class Depacketizer(Protocol):
    """One connection's inbound half."""

    buffer: JitterBuffer  # what was lost, late, doubled, where the encapsulation can tell
    jitter: Jitter

    def begin(self) -> None:
        """Somebody begins to listen: what came before is neither missing nor late."""

    def depacketize(self, data: bytes, at: float) -> list[Event]:
        """The events that a binary message, arrived at `at` seconds, completes; ProtocolError where it is none."""


class Rtp:
    """RTP packets, put in order by their sequence numbers."""

    def __init__(self) -> None:
        self.buffer, self.jitter = JitterBuffer(), Jitter()
        self._place = 0  # of the latest packet, counted on past 65535

    def begin(self) -> None:
        """A sequence begins with the next packet."""
        self.buffer, self.jitter = JitterBuffer(), Jitter()

    def depacketize(self, data: bytes, at: float) -> list[Event]:
        """The audio that is in order now."""
        packet = rtp.parse(data)
        pcm = rtp.decode(packet)
        self._place += distance(packet.sequence, self._place)
        self.jitter.arrived(at, self._place * FRAME_SAMPLES)
        return [*self.buffer.put(packet.sequence, pcm, at)]


class _Stream:
    """Messages on a byte stream, which loses nothing and keeps its order."""

    def __init__(self) -> None:
        self.buffer, self.jitter = JitterBuffer(), Jitter()
        self._samples = 0

    def begin(self) -> None:
        """Jitter is measured anew."""
        self.jitter = Jitter()

    def _arrived(self, audio: Audio, at: float) -> Audio:
        self.jitter.arrived(at, self._samples)
        self._samples += len(audio.pcm) // SAMPLE_BYTES
        return audio


class Linear(_Stream):
    """Signed linear PCM, or the µ-law that may go by that name."""

    def __init__(self) -> None:
        super().__init__()
        self._sln = sln.Depacketizer()

    def depacketize(self, data: bytes, at: float) -> list[Event]:
        """The audio of one message."""
        return [self._arrived(self._sln.depacketize(data, at), at)]


class AudioSocket(_Stream):
    """AudioSocket messages where `framed`, raw PCM where not; None until the first message decides."""

    def __init__(self, framed: bool | None) -> None:
        super().__init__()
        self.framed = framed

    def depacketize(self, data: bytes, at: float) -> list[Event]:
        """The events of one message."""
        if self.framed is None:  # decided once: some raw frames look like a message by chance
            self.framed = audiosocket.is_message(data)
        if not self.framed:
            if not data or len(data) % SAMPLE_BYTES:
                raise ProtocolError(f"{len(data)} bytes are not 16-bit PCM")
            return [self._arrived(Audio(data), at)]
        if (pcm := audiosocket.lone_audio(data)) is not None:  # nearly every message
            return [self._arrived(Audio(pcm), at)]
        events = list(audiosocket.depacketize(data))
        for event in events:
            if isinstance(event, Audio):
                self._arrived(event, at)
        return events
