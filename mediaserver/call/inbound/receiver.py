"""The receiver: the inbound half of a stream.

The peer's messages are decoded into events while a handler listens. Without a listener they are only counted, so
that a stream to which no handler listens costs nothing.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from mediaserver.audio.detection.speech_detector import SpeechDetector
from mediaserver.audio.pcm import FRAME_BYTES, nearest_frame_count
from mediaserver.call.inbound.keypad import Keypad
from mediaserver.call.inbound.silenced import EventListener, PcmListener, silenced, silenced_pcm
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

    def deliver(self) -> None:
        """Deliver all that is kept, now."""


class Receiver:
    """Decodes what the peer sends, and calls each listener with each event, in order, as soon as it arrives.

    Listeners for events get audio and all other events. Listeners for PCM get the samples of audio alone, so that
    no event has to be made for them. A `gatherer` delivers frames that are searched for digits or speech up to
    20 ms later, together with those of other streams. `on_signal` is called with every event that is not audio,
    such as a hang-up, with or without listeners. `on_first_listener` is called when the first listener that
    expects audio is added. `on_listener_error` is called with an exception that a listener or `on_signal` raises.
    """

    def __init__(
        self,
        wire: Wire,
        clock: Callable[[], float],
        on_listener_error: Callable[[BaseException], None] = _ignore,
        on_signal: EventListener = _ignore,
        on_first_listener: Callable[[], None] = _ignore,
    ) -> None:
        self.wire, self._clock, self._on_first_listener = wire, clock, on_first_listener
        self.on_listener_error, self._on_signal = on_listener_error, on_signal
        self.gatherer: Gatherer | None = None
        self._on_audio: Callable[[], None] | None = None  # called once, when the next audio arrives
        self.listeners: tuple[EventListener, ...] = ()
        self.pcm_listeners: tuple[PcmListener, ...] = ()
        self.expecting_none = 0  # number of listeners that do not expect the peer to send audio
        self.listeners_without_keypad: tuple[EventListener, ...] = ()
        self._added: tuple[EventListener, ...] = ()  # the event listeners as added, not wrapped for muting
        self._added_pcm: tuple[PcmListener, ...] = ()
        self._despite_mute: tuple[object, ...] = ()  # listeners that get the audio of a muted caller, too
        self._muted = False
        self._keypad: Keypad | None = None
        self._detectors: tuple[SpeechDetector, ...] = ()
        self._paused_at: float | None = None  # time at which the connection was lost; None while connected
        self._packets = NO_PACKETS  # the RTP packets counted until the jitter buffer was last flushed
        # The keypad and detectors that are fed together with those of other calls; none while the caller is muted.
        self.keypad: Keypad | None = None
        self.speech_detectors: tuple[SpeechDetector, ...] = ()
        self.listening = False  # whether audio is decoded, because there is a listener or a callback for it
        self.awaits_sound = True  # whether all audio so far was silence, or `on_next_audio` waits for audio
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
        self.on_listener_error, self._on_signal, self._on_audio, self.gatherer = _ignore, _ignore, None, None
        self._on_first_listener, self._keypad, self._detectors, self._despite_mute = _ignore, None, (), ()
        self._set_listeners((), ())

    def pause(self) -> None:
        """Pause at the loss of the connection, until `switch_wire` is called for the next connection."""
        self.deliver_gathered()
        self._flush_jitter_buffer()
        self._paused_at = self._clock()

    def switch_wire(self, wire: Wire) -> None:
        """Receive over another connection from now on. Listeners get silence for the time without a connection."""
        self._samples += self.wire.inbound.samples
        self.wire = wire
        if self._paused_at is not None:
            frames = nearest_frame_count(self._clock() - self._paused_at)
            self._paused_at = None
            self._deliver([Audio(bytes(frames * FRAME_BYTES), concealed=True)] if frames else [])

    def deliver_gathered(self) -> None:
        """Deliver the frames that still wait to be delivered together with those of other calls."""
        if self.gatherer is not None:
            self.gatherer.deliver()

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
        return self._samples + self.wire.inbound.samples

    def on_next_audio(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, when the next audio arrives."""
        self._on_audio = callback
        self.listening = self.awaits_sound = True

    def decode_message(self, data: bytes) -> None:
        """Decode a binary message and deliver its events. Without a listener, an audio frame is only counted."""
        self.received += 1
        if self.listening or len(data) != self.wire.inbound.frame_size:
            self.depacketize(data)

    def depacketize(self, data: bytes) -> None:
        """Decode a binary message that is counted already, and deliver its events."""
        try:
            events = self.wire.inbound.depacketize(data, self._clock())
        except ProtocolError as error:
            self.malformed, self.malformed_why = self.malformed + 1, str(error)
        else:
            self._deliver(events)

    def push_event(self, event: Event) -> None:
        """Deliver an event that is decoded already, such as a digit of the admin API."""
        self._deliver((event,))

    def _deliver(self, events: Iterable[Event]) -> None:
        try:
            for event in events:
                if self.gatherer is not None and self.gatherer.keep(self, event):
                    continue
                if type(event) is Audio:
                    if self.silent:
                        self.silent = not event.pcm.strip(b"\0")
                    if self._on_audio is not None and event.pcm:
                        callback, self._on_audio = self._on_audio, None
                        self.listening = self._has_listeners
                        callback()
                    self.awaits_sound = self.silent or self._on_audio is not None
                    for on_pcm in self.pcm_listeners:
                        on_pcm(event.pcm)
                else:
                    self._on_signal(event)
                for listener in self.listeners:
                    listener(event)
        except SOURCE_FAULTS as error:  # an error in a handler's code must not end the connection's reader
            self.on_listener_error(error)

    def mute(self, muted: bool) -> None:
        """Give listeners silence in place of audio from now on, or, with `muted` False, the audio again.

        Other events, such as digits that come as messages, reach them as ever.
        """
        self.deliver_gathered()
        self._muted = muted
        self._set_listeners(self._added, self._added_pcm)

    @property
    def _has_listeners(self) -> bool:
        return bool(self.listeners or self.pcm_listeners)

    def add_listener(self, listener: EventListener) -> None:
        """Add a listener. It is called with every event until the stream ends, and must return at once."""
        self._before_listener()
        self._set_listeners((*self._added, listener), self._added_pcm)

    def add_keypad(self, keypad: Keypad) -> None:
        """Add a keypad as a listener. Frames that were searched already, and hold no digit, do not reach it."""
        self._keypad = keypad
        self.add_listener(keypad.on_event)

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

    def _set_listeners(self, listeners: tuple[EventListener, ...], pcm_listeners: tuple[PcmListener, ...]) -> None:
        """Replace the listeners. Those to be muted are wrapped in listeners that pass on silence."""
        self._added, self._added_pcm = listeners, pcm_listeners
        if self._muted:
            kept = self._despite_mute
            listeners = tuple(each if each in kept else silenced(each) for each in listeners)
            pcm_listeners = tuple(each if each in kept else silenced_pcm(each) for each in pcm_listeners)
        self.listeners, self.pcm_listeners = listeners, pcm_listeners
        self.keypad, self.speech_detectors = (None, ()) if self._muted else (self._keypad, self._detectors)
        keypad = self.keypad.on_event if self.keypad is not None else None
        self.listeners_without_keypad = tuple(listener for listener in listeners if listener != keypad)
        self.listening = self._has_listeners or self._on_audio is not None

    @contextlib.contextmanager
    def listen(
        self, listener: EventListener, detector: SpeechDetector | None = None, *, despite_mute: bool = False
    ) -> Iterator[None]:
        """Call `listener` with every event, within a `with` block. `despite_mute`: see `listen_pcm`.

        `detector` is the listener's speech detector, which the listener feeds by `Audio.feed_to`. Where possible,
        the detector is fed together with those of other calls.
        """
        with self._hearing_despite_mute(listener, despite_mute):
            if detector is not None:
                self._detectors = (*self._detectors, detector)
            self.add_listener(listener)
            try:
                yield
            finally:
                self._detectors = tuple(each for each in self._detectors if each is not detector)
                self._before_removal()
                self._set_listeners(tuple(each for each in self._added if each is not listener), self._added_pcm)

    @contextlib.contextmanager
    def listen_pcm(
        self, listener: PcmListener, *, expects_audio: bool = True, despite_mute: bool = False
    ) -> Iterator[None]:
        """Call `listener` with the PCM of all audio (16-bit, 8 kHz, usually 320 bytes), within a `with` block.

        Without `expects_audio`, a peer that sends no audio is no problem to be reported. `despite_mute`: the
        listener gets the audio also while the caller is muted, as a recording does.
        """
        with self._hearing_despite_mute(listener, despite_mute):
            self._before_listener(expects_audio=expects_audio)
            self._set_listeners(self._added, (*self._added_pcm, listener))
            self.expecting_none += not expects_audio
            try:
                yield
            finally:
                self.expecting_none -= not expects_audio
                self._before_removal()
                self._set_listeners(self._added, tuple(each for each in self._added_pcm if each is not listener))

    @contextlib.contextmanager
    def _hearing_despite_mute(self, listener: object, despite_mute: bool) -> Iterator[None]:
        if despite_mute:
            self._despite_mute = (*self._despite_mute, listener)
        try:
            yield
        finally:
            self._despite_mute = tuple(each for each in self._despite_mute if each is not listener)

    def _before_removal(self) -> None:
        self.deliver_gathered()
        if len(self.listeners) + len(self.pcm_listeners) == 1:  # the last listener gets the audio in the buffer
            self._flush_jitter_buffer()
