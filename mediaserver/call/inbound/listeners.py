"""The listeners of one stream's inbound audio, and what batches of frames need to know of them."""

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator

from mediaserver.audio.detection.speech_detector import SpeechDetector
from mediaserver.audio.level.stream_meter import StreamMeter
from mediaserver.call.inbound.keypad import Keypad
from mediaserver.call.inbound.silenced import EventListener, PcmListener, silenced, silenced_pcm


class Listeners(ABC):
    """What gets what the peer sends: listeners for events and for PCM, a keypad, speech detectors and meters.

    Batches read these attributes for each frame. They are slots, and no property among them leads to another
    object, because each object that a frame needs has to be fetched into the processor's cache.
    """

    __slots__ = (
        "_added",
        "_added_pcm",
        "_despite_mute",
        "_detectors",
        "_keypad",
        "_metered",
        "_meters",
        "_muted",
        "_on_audio",
        "awaits_sound",
        "constant_listeners",
        "dtmf_row",
        "expecting_none",
        "keypad",
        "listeners",
        "listening",
        "meters",
        "pcm_listeners",
        "searched",
        "speech_detectors",
        "takes_all",
    )

    def __init__(self) -> None:
        self._on_audio: Callable[[], None] | None = None  # called once, when the next audio arrives
        self.listeners: tuple[EventListener, ...] = ()
        self.pcm_listeners: tuple[PcmListener, ...] = ()
        self.expecting_none = 0  # number of listeners that do not expect the peer to send audio
        self._added: tuple[EventListener, ...] = ()  # the event listeners as added, not wrapped for muting
        self._added_pcm: tuple[PcmListener, ...] = ()
        self._despite_mute: tuple[object, ...] = ()  # listeners that get the audio of a muted caller, too
        self._muted = False
        self._keypad: Keypad | None = None
        self._detectors: tuple[SpeechDetector, ...] = ()
        self._meters: tuple[StreamMeter, ...] = ()
        self._metered: tuple[object, ...] = ()  # the listeners that have meters, as added
        self.listening = False  # whether audio is decoded, because there is a listener or a callback for it
        self.awaits_sound = True  # whether all audio so far was silence, or `on_next_audio` waits for audio
        # What is fed together with that of other calls: the keypad, the row of its DTMF detector's state (-1 for
        # none), speech detectors and meters. While the caller is muted, there is none of these.
        self.keypad: Keypad | None = None
        self.dtmf_row = -1
        self.speech_detectors: tuple[SpeechDetector, ...] = ()
        self.meters: tuple[StreamMeter, ...] = ()
        self.searched = False  # whether there is such a row, a detector or a meter
        # The listeners that get every frame: neither the keypad nor those that have meters.
        self.constant_listeners: tuple[EventListener, ...] = ()
        self.takes_all = True  # whether listeners are called with every frame, whatever it holds

    @abstractmethod
    def deliver_gathered(self) -> None:
        """Deliver the frames that still wait to be delivered together with those of other calls."""

    @abstractmethod
    def _before_listener(self, *, expects_audio: bool = True) -> None:
        """Prepare for one more listener."""

    @abstractmethod
    def _before_removal(self) -> None:
        """Deliver to a listener that is to be removed what it has not got yet."""

    def drop_listeners(self) -> None:
        """Drop all listeners and callbacks, so that no cycle of references keeps an ended stream in memory."""
        self._on_audio, self._keypad, self._despite_mute = None, None, ()
        self._detectors, self._meters, self._metered = (), (), ()
        self._set_listeners((), ())

    def on_next_audio(self, callback: Callable[[], None]) -> None:
        """Call `callback` once, when the next audio arrives."""
        self._on_audio = callback
        self.listening = self.awaits_sound = True
        self._plan_batches()

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

    def _set_listeners(self, listeners: tuple[EventListener, ...], pcm_listeners: tuple[PcmListener, ...]) -> None:
        """Replace the listeners. Those to be muted are wrapped in listeners that pass on silence."""
        self._added, self._added_pcm = listeners, pcm_listeners
        if self._muted:
            kept = self._despite_mute
            listeners = tuple(each if each in kept else silenced(each) for each in listeners)
            pcm_listeners = tuple(each if each in kept else silenced_pcm(each) for each in pcm_listeners)
        self.listeners, self.pcm_listeners = listeners, pcm_listeners
        self.listening = self._has_listeners or self._on_audio is not None
        self._plan_batches()

    def _plan_batches(self) -> None:
        """Note what batches of frames need to know of this stream, so that they need not ask for it each time."""
        keypad = self.keypad = None if self._muted else self._keypad
        self.dtmf_row = keypad.detector.index if keypad is not None and keypad.detector is not None else -1
        self.speech_detectors, self.meters = ((), ()) if self._muted else (self._detectors, self._meters)
        self.searched = bool(self.dtmf_row >= 0 or self.speech_detectors or self.meters)
        at_times = () if self._muted else (keypad.on_event if keypad is not None else None, *self._metered)
        self.constant_listeners = tuple(listener for listener in self.listeners if listener not in at_times)
        self.takes_all = bool(self.constant_listeners or self.pcm_listeners or self.awaits_sound)

    @contextlib.contextmanager
    def listen(
        self,
        listener: EventListener,
        detector: SpeechDetector | None = None,
        meter: StreamMeter | None = None,
        *,
        despite_mute: bool = False,
    ) -> Iterator[None]:
        """Call `listener` with every event, within a `with` block. `despite_mute`: see `listen_pcm`.

        `detector` is the listener's speech detector, which the listener feeds by `Audio.feed_to`. Where possible,
        the detector is fed together with those of other calls, and so is the `meter`. A listener that has a meter
        gets a frame that both were fed only where something happened: see `Call.listen`.
        """
        with self._hearing_despite_mute(listener, despite_mute):
            if detector is not None:
                self._detectors = (*self._detectors, detector)
            if meter is not None:
                self._meters, self._metered = (*self._meters, meter), (*self._metered, listener)
            self.add_listener(listener)
            try:
                yield
            finally:
                self._detectors = tuple(each for each in self._detectors if each is not detector)
                self._meters = tuple(each for each in self._meters if each is not meter)
                self._metered = tuple(each for each in self._metered if each is not listener)
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
