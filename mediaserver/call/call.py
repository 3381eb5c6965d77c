"""`Call`: a handler's interface to a call, with which it plays, listens, collects digits, and records."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from mediaserver.audio.detection.speech_detector import SpeechDetector
from mediaserver.audio.level.stream_meter import StreamMeter
from mediaserver.call.control.call_control import CallControl
from mediaserver.call.event_sink import EventSink
from mediaserver.call.inbound.barge_in import BargeIn, SentFrames, play_until_barge_in, wait_for_speech
from mediaserver.call.inbound.endpointing import Endpointer
from mediaserver.call.inbound.event_queue import iterate_events
from mediaserver.call.inbound.keypad import CollectedDigits, Keypad
from mediaserver.call.inbound.receiver import Receiver
from mediaserver.call.inbound.silenced import EventListener, PcmListener
from mediaserver.call.lifetime import Lifetime
from mediaserver.call.recording.file_modes import DEFAULT_MODES, FileModes
from mediaserver.call.recording.recorder import Recorder
from mediaserver.call.recording.recordings import report
from mediaserver.call.recording.states import Recording, StopReason
from mediaserver.call.sounds import DEFAULT_LEVELS, Sound, open_sound, start_playback
from mediaserver.call.stream import Clock
from mediaserver.events.kinds import EventKind
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.playout.prompts.prompt_store import Prompt
from mediaserver.playout.sources.source import PlaybackResult
from mediaserver.speech.service import SpeechService
from mediaserver.wire.events import Event
from mediaserver.wire.jitter import PacketCounts


class Call(CallControl):
    """One call, as its handler sees the call: both directions of the stream.

    When the handler returns, the stream is closed. A stream that the server dialled may lose its connection and
    get another one. The handler is not told, and its sound continues where the connection broke.

    Attributes:
        speech: TTS and STT: `call.play(call.speech.say("Hello."))`, `call.speech.recogniser()`.
        prompts: The prompts as they were when the stream began. `call.prompts.by_name` has them by their names.
    """

    def __init__(
        self,
        lifetime: Lifetime,
        library: PromptLibrary,
        pacer: Pacer,
        receiver: Receiver,
        clock: Clock,
        event_sink: EventSink,
        speech: SpeechService,
    ) -> None:
        self.speech, self._library, self.prompts = speech, library, library.snapshot
        super().__init__(lifetime)
        self._pacer, self._receiver, self._clock, self._event_sink = pacer, receiver, clock, event_sink
        self._keypad: Keypad | None = None
        self._background_levels, self._ended = DEFAULT_LEVELS, False  # `_ended`: `stream.ended` was emitted

    async def play(self, sound: Sound, *, interrupt: bool = False) -> PlaybackResult:
        """Play a prompt by name, a sound file by its path, a text (`call.speech.say`), or a source of frames.

        Returns, once the sound was played, how many frames were sent, and whether these were all. Sounds that wait
        at the same time are played in turn. With `interrupt`, a sound is played at once, or when its speech is
        there; what it interrupts goes on afterwards. Cancelling the coroutine stops the sound. If an operator
        stops an endless sound, the coroutine goes on waiting. PromptError if a prompt is missing or defective.
        """
        source = await open_sound(sound, self.prompts, self._library.decode)
        self._lifetime.control.answer()
        queued = self._lifetime.played.now
        done = start_playback(self._pacer, source, sound, interrupt=interrupt)
        try:
            return await done
        except asyncio.CancelledError:
            self._pacer.cancel(done)
            raise
        finally:
            self._lifetime.played.add(source, queued, done)

    def clear(self) -> None:
        """Stop what plays, by a fade of 5 ms, and what is queued. Each pending `play` tells how much was sent."""
        self._pacer.cancel_all()

    def set_background(
        self, name: str | Prompt | None, level: float | None = None, ducking: float | None = None
    ) -> None:
        """Repeat a prompt under all that is played, and alone while nothing is; None ends the background.

        `level`: the background's active speech level in dBov. `ducking`: dB by which other sound lowers it. None
        keeps the value so far, at first that of the URL path's settings. PromptError if there is no such prompt.
        """
        levels = self._background_levels.changed(level, ducking)
        background = levels.open(name, self.prompts) if name is not None else None
        self._background_levels = levels
        self._pacer.set_background(background)

    async def silence(self) -> None:
        """Keep the stream open, and send silence, until the peer or the server ends the stream."""
        await asyncio.get_running_loop().create_future()

    def events(self) -> AsyncIterator[Event]:
        """Iterate over the peer's events from now on. Where more than 250 are queued, the oldest are dropped."""
        return iterate_events(self._receiver)

    def listen(
        self, listener: EventListener, detector: SpeechDetector | None = None, meter: StreamMeter | None = None
    ) -> contextlib.AbstractContextManager[None]:
        """Call `listener` with every event as it arrives, within a `with` block. `listener` must not block.

        A speech `detector` that the listener feeds by `Audio.feed_to` is fed with those of other calls. With a
        `meter`, the listener only gets frames in which `speaking` changes, a key may sound, or the meter is due.
        """
        return self._receiver.listen(listener, detector, meter)

    def listen_pcm(self, listener: PcmListener) -> contextlib.AbstractContextManager[None]:
        """Call `listener`, which must not block, with the caller's audio as it arrives, within a `with` block.

        The audio is 16-bit mono PCM at 8 kHz, usually 320 bytes at a time. No way to get audio is cheaper.
        """
        return self._receiver.listen_pcm(listener)

    @property
    def keypad(self) -> Keypad:
        """The caller's digits (DTMF). Digits are detected from the first use of this property on."""
        if self._keypad is None:
            self._keypad = Keypad(self._clock)
            self._lifetime.control.on_keypad(self._keypad)
            self._receiver.add_keypad(self._keypad)
        return self._keypad

    @property
    def keys(self) -> int | None:
        """The number of digits received; None where the handler has never asked for a digit."""
        return self._keypad.presses if self._keypad is not None and self._keypad.awaited else None

    async def prompt(
        self, prompt: Sound, barge_in: BargeIn | str = BargeIn.DIGITS, patience: float | None = None
    ) -> bool:
        """Play a prompt until its end, or until the caller barges in. Returns whether speech stopped the prompt.

        A digit that stops the prompt stays in the type-ahead buffer, for the next collection of digits. `patience`
        is the number of seconds after the prompt for which the handler will wait for a digit.
        """
        if barge_in != BargeIn.OFF and self.keypad.has_digit:
            return False
        by_digit = self.keypad.wait_for_digit(lambda: patience or 0.0) if barge_in != BargeIn.OFF else None
        by_speech = self._wait_for_speech() if barge_in == BargeIn.SPEECH else None
        return await play_until_barge_in(self.play(prompt), by_digit, by_speech)

    async def collect_digits(
        self,
        count: int = 1,
        *,
        prompt: Sound | None = None,
        terminator: str = "#",
        timeout: float = 5.0,
        interdigit: float = 3.0,
        barge_in: BargeIn | str = BargeIn.DIGITS,
        enough: Callable[[str], bool] = lambda digits: False,
        private: bool = False,
    ) -> CollectedDigits:
        """Play a prompt, if one is given, and collect up to `count` digits (DTMF).

        The collection ends after `count` digits, at the `terminator` (which is not returned with them; "" for
        none), or when `enough`, called with the digits so far, returns True. It times out `timeout` seconds after
        the prompt if no digit comes, and `interdigit` seconds after a digit if no other digit follows. Digits
        typed before or during the prompt count as well. With barge-in, digits typed before the prompt keep it from
        beginning, and digits typed during the prompt stop it. With `private`, the event about the collected digits
        has only their number.
        """
        keypad = self.keypad
        spoke = await self.prompt(prompt, barge_in, timeout) if prompt is not None else False
        digits, timed_out = await keypad.collect(count, terminator, timeout, interdigit, enough)
        if digits:
            self.notify(EventKind.DIGITS, {"count": len(digits)} if private else {"digits": digits})
        return CollectedDigits(digits, timed_out, spoke)

    async def wait_for_speech(self, timeout: float | None = None, mode: int = 2) -> bool:
        """Wait until the caller speaks (VAD mode 0 to 3); False if no speech begins within `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._wait_for_speech(mode)
        except TimeoutError:
            return False
        self.notify(EventKind.SPEECH_STARTED, {})
        return True

    @contextlib.contextmanager
    def utterances(self, barge_in: bool = False, **options: Any) -> Iterator[Endpointer]:
        """Cut what the caller says into utterances, within a `with` block. `options` are those of `Endpointer`.
        With `barge_in`, the echo of played sound begins no utterance.

        with call.utterances(end_silence=0.5) as utterances:
            async for utterance in utterances:
                found = await utterance.transcribe(call.speech.recogniser(), timeout=5)
        """
        keypad = self.keypad
        sent = SentFrames() if barge_in else None
        observing = self._pacer.observe(sent.on_frame_sent) if sent is not None else contextlib.nullcontext()
        utterances = Endpointer(self._clock, lambda: keypad.dtmf_active, sent=sent, **options)
        try:
            with observing, self.listen(utterances.on_event, utterances.detector):
                yield utterances
        finally:
            utterances.close()

    async def record(
        self,
        path: Path,
        *,
        within: Path | None = None,
        stereo: bool = False,
        max_duration: float | None = None,
        max_silence: float | None = None,
        finish_on: str = "",
        trim_silence: bool = False,
        modes: FileModes = DEFAULT_MODES,
        on_result: Callable[[Recording], None] = lambda _: None,
    ) -> Recording:
        """Record the caller to a WAV file, until one of the limits is reached or the stream ends.

        `within`: the folder that must contain the file; if a symbolic link leads out of it, the recording fails.
        `stereo`: the caller is on the left, and the sound for the caller on the right. The recording ends after
        `max_duration` seconds, after `max_silence` seconds without speech, or at a digit of `finish_on`.
        `trim_silence`: cut silence off at the end. `modes`: permissions of the file and its folders.

        If the disk fails, the file ends, and `recording.failed` is emitted at once. `record` still returns only at
        a limit; `Recording.error` has the reason. `on_result` is called once, right after the event about the end.
        """
        recorder = Recorder(
            path,
            within=within,
            stereo=stereo,
            trim_silence=trim_silence,
            max_duration=max_duration,
            max_silence=max_silence,
            dtmf_active=lambda: self._keypad is not None and self._keypad.dtmf_active,
            clock=self._clock,
            modes=modes,
            on_result=lambda result: report(result, self.notify, self.stream.id, on_result),
        )
        self._lifetime.control.answer()
        self.notify(EventKind.RECORDING_STARTED, {"file": str(path)})
        try:
            on_key = partial(recorder.stop, StopReason.DIGIT)
            keys = self.keypad.intercept(finish_on, on_key) if finish_on else contextlib.nullcontext()
            with self._lifetime.recordings.recording(recorder, self._receiver, self._pacer), keys:
                await recorder.run()
        finally:
            cancelled = StopReason.STOPPED if self._lifetime.end is None else StopReason.STREAM_ENDED
            recording = await self._lifetime.recordings.finish(recorder, cancelled)
        return recording

    def pause_recording(self, paused: bool = True, *, by: str = "") -> None:
        """Record silence in place of both directions from now on, or, with `paused` False, audio again.

        This holds for all recordings of the call, also for later ones, such as while a card's number is said. The
        caller is recorded again 250 ms after a pause. `by` names the operator who asks; "" for the handler.
        """
        self._receiver.deliver_gathered()
        if self._lifetime.recordings.pause(paused, self._clock()):
            self.notify(EventKind.RECORDING_PAUSED if paused else EventKind.RECORDING_RESUMED, {"by": by})

    def stop_recording(self, path: Path) -> bool:
        """End the recording that `record` was asked to make at `path`; returns whether there is one."""
        return self._lifetime.recordings.stop(path)

    @property
    def packets(self) -> PacketCounts:
        """Counts of the caller's RTP packets that came while there was a listener, over all connections."""
        return self._receiver.packets

    @property
    def jitter_ms(self) -> float:
        """Present interarrival jitter of the caller's RTP packets, in ms (RFC 3550, section 6.4.1)."""
        return self._receiver.jitter_ms

    @property
    def now(self) -> float:
        """The present time of the stream's monotonic clock, in seconds."""
        return self._clock()

    def notify(self, kind: str, data: Mapping[str, Any]) -> None:
        """Emit an event to the operator's systems, without waiting. After `stream.ended`, events are dropped."""
        if not self._ended:
            self._ended = kind == EventKind.STREAM_ENDED
            self._lifetime.failures.add_event(kind, data)
            self._event_sink.emit(self.stream, kind, data)

    async def ask(self, url: str, body: Mapping[str, Any], timeout: float | None = None) -> Any:
        """POST a JSON question to the operator's backend, and return its JSON answer; PeerError on failure."""
        return await self._event_sink.ask(url, body, timeout)

    async def _wait_for_speech(self, mode: int = 2) -> None:
        keypad = self.keypad
        await wait_for_speech(self.listen, self._pacer.observe, lambda: keypad.dtmf_active, mode)
