"""The receiver: the inbound half of a stream.

The peer's messages are decoded into events while a handler listens. Without a listener they are only counted, so
that a stream to which no handler listens costs nothing.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, nearest_frame_count
from mediaserver.call.inbound.listeners import Listeners
from mediaserver.call.inbound.silenced import EventListener
from mediaserver.errors import ProtocolError
from mediaserver.playout.sources.source import SOURCE_FAULTS
from mediaserver.wire.events import Audio, Event
from mediaserver.wire.jitter import NO_PACKETS, PacketCounts
from mediaserver.wire.wire import Wire


def _ignore(*args: object) -> None:
    """Do nothing. Stands in for a callback that was not given."""


class Gatherer(Protocol):
    """Keeps decoded frames of many calls, and delivers them together."""

    def keep(self, receiver: "Receiver", event: Event) -> bool:
        """Keep an event to deliver it later, or else deliver what is kept for the receiver, and return False."""

    def deliver(self, receiver: "Receiver") -> None:
        """Deliver all that is kept for the receiver, now."""


class Receiver(Listeners):
    """Decodes what the peer sends, and calls each listener with each event, in order, as soon as it arrives.

    Listeners for events get audio and all other events. Listeners for PCM get the samples of audio alone, so that
    no event has to be made for them. A `gatherer` delivers frames that are searched for digits or speech up to
    20 ms later, together with those of other streams. `on_signal` is called with every event that is not audio,
    such as a hang-up, with or without listeners. `on_first_listener` is called when the first listener that
    expects audio is added. `on_listener_error` is called with an exception that a listener or `on_signal` raises.
    """

    __slots__ = (
        "_clock",
        "_on_first_listener",
        "_on_signal",
        "_packets",
        "_paused_at",
        "_samples",
        "batched",
        "dropped",
        "gatherer",
        "irregular",
        "layout",
        "malformed",
        "malformed_why",
        "on_listener_error",
        "received",
        "silent",
        "wire",
    )

    def __init__(
        self,
        wire: Wire,
        clock: Callable[[], float],
        on_listener_error: Callable[[BaseException], None] = _ignore,
        on_signal: EventListener = _ignore,
        on_first_listener: Callable[[], None] = _ignore,
    ) -> None:
        super().__init__()
        self.wire, self._clock, self._on_first_listener = wire, clock, on_first_listener
        self.on_listener_error, self._on_signal = on_listener_error, on_signal
        self.gatherer: Gatherer | None = None
        self._paused_at: float | None = None  # time at which the connection was lost; None while connected
        self._packets = NO_PACKETS  # the RTP packets counted until the jitter buffer was last flushed
        self.layout = wire.inbound.layout
        self.batched = 0  # number of frames of batches that `wire.inbound.samples` does not count yet
        self.irregular = False  # whether frames came late or in a burst, not one in each 20 ms
        self.received = 0  # number of binary messages from the peer
        self.malformed = 0  # number of binary messages that are not in the wire format
        self.malformed_why = ""  # why the latest of these is not
        self.dropped = 0  # number of events that were dropped because a queue was full
        self.silent = True  # whether every decoded sample has been 0 so far
        self._samples = 0  # number of samples decoded on earlier connections

    def close(self) -> None:
        """Drop all listeners and callbacks, so that no cycle of references keeps an ended stream in memory."""
        self.deliver_gathered()  # a DTMF key may be in these frames
        self.on_listener_error, self._on_signal, self.gatherer = _ignore, _ignore, None
        self._on_first_listener = _ignore
        self.drop_listeners()

    def pause(self) -> None:
        """Pause at the loss of the connection, until `switch_wire` is called for the next connection."""
        self.deliver_gathered()
        self._flush_jitter_buffer()
        self._paused_at = self._clock()

    def switch_wire(self, wire: Wire) -> None:
        """Receive over another connection from now on. Listeners get silence for the time without a connection."""
        self._samples = self.samples
        self.batched, self.wire = 0, wire
        self.on_wire_changed()
        if self._paused_at is not None:
            frames = nearest_frame_count(self._clock() - self._paused_at)
            self._paused_at = None
            self._deliver([Audio(bytes(frames * FRAME_BYTES), concealed=True)] if frames else [])

    def deliver_gathered(self) -> None:
        """Deliver the frames that still wait to be delivered together with those of other calls."""
        if self.gatherer is not None:
            self.gatherer.deliver(self)

    def _flush_jitter_buffer(self) -> None:
        """Deliver the audio that the jitter buffer holds back, keep its counts and the jitter, and replace it."""
        inbound = self.wire.inbound
        self._deliver(inbound.flush())
        self._packets = self._packets.plus(inbound.packets)
        inbound.reset_order()

    @property
    def packets(self) -> PacketCounts:
        """Counts of the RTP packets that came while there was a listener, over all connections."""
        return self._packets.plus(self.wire.inbound.packets)

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter of the present connection, in ms (RFC 3550, section 6.4.1)."""
        return self.wire.inbound.jitter.ms

    @property
    def samples(self) -> int:
        """Number of samples decoded so far, at 8 kHz. Audio that comes while no handler listens is not decoded."""
        return self._samples + self.wire.inbound.samples + self.batched * FRAME_SAMPLES

    def decode_message(self, data: bytes) -> None:
        """Decode a binary message and deliver its events. Without a listener, an audio frame is only counted."""
        self.received += 1
        if self.listening or len(data) != self.wire.inbound.frame_size:
            self.depacketize(data)

    def depacketize(self, data: bytes) -> None:
        """Decode a binary message that is counted already, and deliver its events."""
        inbound = self.wire.inbound
        self._count_batched()
        try:
            events = inbound.depacketize(data, self._clock())
        except ProtocolError as error:
            self.malformed, self.malformed_why = self.malformed + 1, str(error)
        else:
            self.layout = inbound.layout
            self._deliver(events)

    def on_wire_changed(self) -> None:
        """Take note of another wire format of the peer's messages."""
        self.layout = self.wire.inbound.layout

    def measure_jitter(self, at: float) -> None:
        """Update the jitter with a frame that was polled at the time `at`, and is not counted yet."""
        self._count_batched()
        self.wire.inbound.measure_jitter(at)

    def _count_batched(self) -> None:
        self.wire.inbound.samples += self.batched * FRAME_SAMPLES
        self.batched = 0

    def push_event(self, event: Event) -> None:
        """Deliver an event that is decoded already, such as a digit of the admin API."""
        self._deliver((event,))

    def _deliver(self, events: Iterable[Event]) -> None:
        try:
            for event in events:
                if self.gatherer is not None and self.gatherer.keep(self, event):
                    continue
                if type(event) is Audio:
                    if self.awaits_sound and event.pcm:
                        self._on_awaited(event.pcm)
                    for on_pcm in self.pcm_listeners:
                        on_pcm(event.pcm)
                else:
                    self._on_signal(event)
                for listener in self.listeners:
                    listener(event)
                if type(event) is not Audio:
                    self._plan_batches()  # after a digit, the keypad may have no detector any more
        except SOURCE_FAULTS as error:  # an error in a handler's code must not end the connection's reader
            self._plan_batches()
            self.on_listener_error(error)

    def _on_awaited(self, pcm: bytes) -> None:
        """Process audio that came while all audio was silence, or while `on_next_audio` waited for audio."""
        if self.silent:
            self.silent = not pcm.strip(b"\0")
        if self._on_audio is not None:
            callback, self._on_audio = self._on_audio, None
            self.listening = self._has_listeners
            callback()
        self.awaits_sound = self.silent or self._on_audio is not None
        if not self.awaits_sound:
            self._plan_batches()

    def reset_keypad(self) -> None:
        """Reset the keypad, if there is one: digits from now on are for another handler."""
        self.deliver_gathered()
        if self._keypad is not None:
            self._keypad.reset()

    def _before_listener(self, *, expects_audio: bool = True) -> None:
        listeners = len(self.listeners) + len(self.pcm_listeners)
        if not listeners:
            self.wire.inbound.reset()  # RTP packets that came without a listener do not count as lost
        if expects_audio and listeners == self.expecting_none:
            self._on_first_listener()

    def _before_removal(self) -> None:
        self.deliver_gathered()
        if len(self.listeners) + len(self.pcm_listeners) == 1:  # the last listener gets the audio in the buffer
            self._flush_jitter_buffer()
