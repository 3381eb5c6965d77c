"""What a handler has of a call: it plays, listens, asks and records."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import structlog

from mediaserver.audio.vad import VoiceActivityDetector
from mediaserver.call.endpointing import Utterances
from mediaserver.call.event_sink import Outbox
from mediaserver.call.keypad import BargeIn, Collected, Keypad
from mediaserver.call.lifetime import Lifetime
from mediaserver.call.receiver import Packets, Receiver, Take
from mediaserver.call.recording.file_modes import USUAL_MODES, Modes
from mediaserver.call.recording.recorder import Recorder, Recording, Stop
from mediaserver.call.stream import Clock, Stream
from mediaserver.events.kinds import EventKind
from mediaserver.playout.pacing.pacer import Pacer
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.playout.sources.source import PlaybackResult, Playlist, Segment, Source
from mediaserver.speech.service import SpeechService
from mediaserver.speech.tts.spoken_text import SpokenText
from mediaserver.transport.closing import CloseCode, End, EndReason
from mediaserver.wire.events import Audio, Event

_HABIT = 1.0  # seconds after a single digit, in which some press a terminator that nobody asked for

log = structlog.get_logger()
T = TypeVar("T")

Sound = Source | Segment | SpokenText | str | Path  # what can be played; by name a prompt, by path any sound file


class Call:
    """One call, as a handler has it: both directions of its stream.

    When the handler returns, the stream is closed. A stream that we dialled may lose its connection and get
    another: the handler notices nothing but the time.
    """

    def __init__(
        self,
        lifetime: Lifetime,
        library: PromptLibrary,
        pacer: Pacer,
        receiver: Receiver,
        clock: Clock,
        outbox: Outbox,
        speech: SpeechService,
    ) -> None:
        self.speech = speech
        self.prompts = library.snapshot  # the prompts, as they are when the stream begins
        self._decode = library.decode
        self._lifetime, self._pacer, self._receiver = lifetime, pacer, receiver
        self._clock, self._outbox = clock, outbox
        self._keypad: Keypad | None = None
        self._ended = False

    @property
    def stream(self) -> Stream:
        """What the stream is: its id, its path, its peer, and its variables."""
        return self._lifetime.stream

    async def play(self, sound: Sound) -> PlaybackResult:
        """Play a source, a run of sound, a text (`call.speech.say`), a prompt by name, or a sound file by its
        path, and wait until it is over.

        Returns how much of it was sent; sources played at the same time queue up. Cancelling the call stops the
        source. PromptError where there is no such prompt, or the file cannot be played.
        """
        if isinstance(sound, str):
            sound = self.prompts.get(sound)
        elif isinstance(sound, Path):
            sound = await self._decode(sound)
        if not isinstance(sound, Source):
            sound = Playlist(sound if isinstance(sound, SpokenText) else [sound])
        self._lifetime.control.answer()
        done = self._pacer.play(sound)
        try:
            return await done
        except asyncio.CancelledError:
            self._pacer.cancel(done)
            raise

    def clear(self) -> None:
        """Stop what plays and what is queued; their players are told how much was heard."""
        self._pacer.cancel_all()

    def answer(self) -> None:
        """Answer the call, where that is ours to do: before anything is played this happens by itself."""
        self._lifetime.control.answer()

    def hang_up(self) -> None:
        """Have the call hung up when the stream is over. Where its wire cannot say so, only the stream ends."""
        self._lifetime.hanging_up = True

    def close(self, code: int = CloseCode.NORMAL, text: str = "") -> None:
        """End the stream now, with a WebSocket close code and the text of its close frame."""
        self._lifetime.finish(End(EndReason.FINISHED, code, text))

    async def silence(self) -> None:
        """Keep the stream up in silence until the peer, or the server, ends it."""
        await asyncio.get_running_loop().create_future()

    def events(self) -> AsyncIterator[Event]:
        """What the peer sends, from now on. At most 250 events wait; the oldest give way and are counted."""
        return self._receiver.events()

    def listen(self, take: Take) -> contextlib.AbstractContextManager[None]:
        """Give every event to `take` as it comes, within a `with` block. It must return at once."""
        return self._receiver.listen(take)

    @property
    def keypad(self) -> Keypad:
        """The caller's digits, from the first time anybody asks for it."""
        if self._keypad is None:
            self._keypad = Keypad(self._clock)
            self._receiver.keep(self._keypad.take)
        return self._keypad

    @property
    def keys(self) -> int | None:
        """How many keys came; None where nobody waited for any."""
        keypad = self._keypad
        return keypad.pressed if keypad is not None and keypad.wanted else None

    async def prompt(self, prompt: Sound, barge_in: BargeIn | str = BargeIn.DIGITS) -> bool:
        """Play a prompt until its end, or until the caller barges in; whether by speech.

        A digit that does is kept for whoever collects digits next.
        """
        if barge_in != BargeIn.OFF and self.keypad.waiting:
            return False
        playing = asyncio.ensure_future(self.play(prompt))
        stops: dict[asyncio.Future[Any], bool] = {}
        if barge_in != BargeIn.OFF:
            stops[asyncio.ensure_future(self.keypad.wait())] = False
        if barge_in == BargeIn.SPEECH:
            stops[asyncio.ensure_future(self._speech())] = True
        try:
            await asyncio.wait([playing, *stops], return_when=asyncio.FIRST_COMPLETED)
            if playing.done():
                playing.result()
            return any(by_speech and stop.done() for stop, by_speech in stops.items())
        finally:
            for each in (playing, *stops):
                each.cancel()
            await asyncio.gather(playing, *stops, return_exceptions=True)

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
    ) -> Collected:
        """Play a prompt, perhaps, and collect up to `count` digits.

        It is over with the last of them, at a `terminator` (which is not among the digits; "" is none), when
        `enough` says so of the digits so far, or `timeout` seconds after the prompt, `interdigit` after a digit.
        A digit typed ahead counts; with barge-in it stops the prompt, or keeps it from beginning. `private` digits
        are not told as an event, only their count.
        """
        keypad, digits, timed_out = self.keypad, "", False
        spoke = await self.prompt(prompt, barge_in) if prompt is not None else False
        while len(digits) < count and not enough(digits):
            digit = await keypad.press(interdigit if digits else timeout)
            timed_out = not digit
            if timed_out or digit in terminator:
                break
            digits += digit
        else:
            keypad.pass_over(terminator, interdigit if count > 1 else _HABIT)
        if digits:
            self.notify(EventKind.DIGITS, {"count": len(digits)} if private else {"digits": digits})
        return Collected(digits, timed_out, spoke)

    async def wait_for_speech(self, timeout: float | None = None, mode: int = 2) -> bool:
        """Wait until the caller speaks; False where nobody does in `timeout` seconds."""
        try:
            await asyncio.wait_for(self._speech(mode), timeout)
        except TimeoutError:
            return False
        self.notify(EventKind.SPEECH_STARTED, {})
        return True

    @contextlib.contextmanager
    def utterances(self, **options: Any) -> Iterator[Utterances]:
        """What the caller says from now on, cut into utterances, within a `with` block; `options` as theirs.

        with call.utterances(end_silence=0.5) as utterances:
            async for utterance in utterances:
                found = await utterance.words(call.speech.recogniser(), timeout=5)
        """
        keypad = self.keypad
        utterances = Utterances(self._clock, lambda: keypad.toning, **options)
        try:
            with self.listen(utterances.take):
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
        modes: Modes = USUAL_MODES,
    ) -> Recording:
        """Record what is heard to a WAV file, until one of the limits is reached or the stream ends.

        `within`: a folder that no link may lead out of. `stereo`: the caller on the left, what we send on the
        right. `max_silence`: so many seconds without speech end it. `finish_on`: digits that end it. `modes`: who
        may read it. A disk that is full, or a folder that cannot be written, end the file, and are told at once;
        the limits hold as before, and `Recording.error` tells.
        """
        recorder = Recorder(
            path,
            within=within,
            stereo=stereo,
            trim_silence=trim_silence,
            max_duration=max_duration,
            max_silence=max_silence,
            toning=lambda: self._keypad is not None and self._keypad.toning,
            clock=self._clock,
            modes=modes,
            failed=self._recording_over,
        )
        self._lifetime.control.answer()
        self.notify(EventKind.RECORDING_STARTED, {"file": str(path)})
        try:
            with contextlib.ExitStack() as stack:
                stack.enter_context(self.listen(recorder.take))
                if stereo:
                    stack.enter_context(self._pacer.observe(recorder.sent, recorder.recalled))
                if finish_on:
                    stack.enter_context(self.keypad.taking(finish_on, lambda: recorder.stop(Stop.DIGIT)))
                await recorder.run()
        finally:
            recording = await _to_its_end(self._finish_recording(recorder))
        return recording

    async def _finish_recording(self, recorder: Recorder) -> Recording:
        recording = await recorder.close()
        if not recording.error:  # or it is told already
            self._recording_over(recording)
        return recording

    def _recording_over(self, recording: Recording) -> None:
        facts = recording.as_dict()
        self.notify(EventKind.RECORDING_FAILED if recording.error else EventKind.RECORDING_DONE, facts)
        tell = log.error if recording.error else log.info
        tell("recording failed" if recording.error else "recording done", stream=self.stream.id, **facts)

    @property
    def packets(self) -> Packets:
        """What became of the caller's RTP packets while somebody listened, over all connections."""
        return self._receiver.packets

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter of the caller's RTP packets now (RFC 3550, section 6.4.1)."""
        return self._receiver.jitter_ms

    @property
    def now(self) -> float:
        """Seconds on the stream's clock."""
        return self._clock()

    def notify(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tell the operator's systems of an event. Never waits; after `stream.ended` there is nothing to tell."""
        if not self._ended:
            self._ended = kind == EventKind.STREAM_ENDED
            self._outbox.emit(self.stream, kind, data)

    async def ask(self, url: str, body: Mapping[str, Any], timeout: float | None = None) -> Any:
        """POST a JSON question to the operator's own backend; PeerError where no JSON comes back."""
        return await self._outbox.ask(url, body, timeout)

    # -- behind them ---------------------------------------------------------------------------------------------

    async def _speech(self, mode: int = 2) -> None:
        detector, spoken, keypad = VoiceActivityDetector(mode), asyncio.Event(), self.keypad

        def take(event: Event) -> None:
            if isinstance(event, Audio) and detector.feed(event.pcm, keypad.toning):
                spoken.set()

        with self.listen(take):
            await spoken.wait()


async def _to_its_end(work: Coroutine[Any, Any, T]) -> T:
    """Do something that must not be left half done; who is cancelled meanwhile, is so after it."""
    task, cancelled = asyncio.ensure_future(work), None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return task.result()
