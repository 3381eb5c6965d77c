"""Endpointing: cuts inbound audio into utterances by voice activity detection (VAD).

An utterance begins a little before its first voice, and ends with the pause after its last voice.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator

from mediaserver.audio.detection.vad import VoiceActivityDetector
from mediaserver.audio.pcm import PTIME, SILENCE, nearest_frame_count
from mediaserver.call.inbound.barge_in import SentFrames
from mediaserver.call.stream import Clock
from mediaserver.errors import EngineError
from mediaserver.speech.stt.interface import Recognition, SttEngine
from mediaserver.wire.events import Audio, Event

END_SILENCE = 0.7  # seconds without voice that end an utterance; pauses for thought last up to half a second
MAX_UTTERANCE = 30.0  # seconds after which an utterance is cut
_PRE_ROLL_FRAMES = 15  # frames before the onset that belong to the utterance, as VAD misses the first consonant
_MAX_ONSET_FRAMES = 30  # the most frames that are kept from the onset of speech until the speech is certain
_CHUNK_FRAMES = 5  # number of frames that the recogniser is given together, in one chunk
_MAX_PENDING = 60.0  # seconds of queued utterances; beyond them, the oldest utterance is dropped
_JITTER_ALLOWANCE = 0.5  # seconds by which audio may be late before the peer counts as sending none


class Utterance:
    """The caller's speech between two pauses.

    Its audio can be iterated over once, while it is still being spoken: 16-bit PCM at 8 kHz, in chunks of 100 ms
    or more. `start` and `end` say where its voice begins and ends, in seconds of received audio. The audio begins
    a little before `start`, and ends a little after `end`. `last_voice_at` and `ended_at` are times of the clock:
    when the last voice was received, and when endpointing ended the utterance.
    """

    def __init__(self, number: int, start: float, clock: Clock) -> None:
        self.number = number  # counts the stream's utterances, from 1
        self.start = self.end = start
        self.clock = clock
        self.last_voice_at = self.ended_at = clock()
        self.ended = False  # whether the utterance has ended, so that no more audio follows
        self.cut = False  # whether the utterance was cut because it became too long; the next one continues it
        self.seconds = 0.0  # duration of the utterance's audio so far
        self._frames: list[bytes] = []  # frames of audio that the iteration has not returned yet
        self._changed = asyncio.Event()
        self._end_callback: Callable[[], None] = _ignore_end

    async def transcribe(
        self,
        recogniser: SttEngine,
        timeout: float,
        on_partial: Callable[[str], None] = lambda text: None,
        language: str = "",
    ) -> Recognition:
        """Have a speech-to-text engine transcribe the utterance, and return its final result.

        `on_partial` is called with each partial transcript. `language` is a BCP 47 tag, "" for the engine's
        default. EngineError where the engine fails, or has no result `timeout` seconds after the utterance has
        ended.
        """
        try:
            async with asyncio.timeout(None) as limit:
                loop = asyncio.get_running_loop()
                with self._on_end(lambda: limit.reschedule(loop.time() + timeout)):
                    return await recogniser.recognise(self, on_partial, language)
        except TimeoutError:
            raise EngineError(f"no words within {timeout:g} s of the end") from None

    @contextlib.contextmanager
    def _on_end(self, callback: Callable[[], None]) -> Iterator[None]:
        """Call `callback` when the utterance ends within the `with` block, or at once if it has ended."""
        if self.ended:
            callback()
        self._end_callback = callback
        try:
            yield
        finally:
            self._end_callback = _ignore_end

    def push_frame(self, frame: bytes) -> None:
        """Add a frame of audio to the utterance: 320 bytes of PCM."""
        self._frames.append(frame)
        self.seconds += PTIME
        if len(self._frames) >= _CHUNK_FRAMES:
            self._changed.set()

    def mark_voice(self, end: float) -> None:
        """Note that the last frame had voice. `end`: where the frame ends, in seconds of received audio."""
        self.end, self.last_voice_at = end, self.clock()

    def finish(self, cut: bool = False) -> None:
        """End the utterance. `cut`: whether it became too long, so that the next one continues it."""
        self.ended, self.ended_at, self.cut = True, self.clock(), cut
        self._changed.set()
        self._end_callback()

    def __aiter__(self) -> "Utterance":
        return self

    async def __anext__(self) -> bytes:
        while not self._changed.is_set():
            await self._changed.wait()
        if not self._frames:
            raise StopAsyncIteration
        pcm = b"".join(self._frames)
        self._frames.clear()
        if not self.ended:
            self._changed.clear()
        return pcm


class Endpointer:
    """Iterates over utterances, each as soon as it begins, until `close` is called and no utterance is pending.

    `mode` is the aggressiveness of the VAD, 0 to 3. `end_silence` seconds without voice end an utterance, and it
    is cut after `max_duration` seconds. `on_start` is called with each utterance as it begins. Where more than a
    minute of audio is pending, the oldest utterance is dropped: `on_dropped` is called with it, and `dropped`
    counts it. `dtmf_active` says whether a DTMF tone is being received: such a tone does not count as voice.
    `sent` keeps the frames that were sent: their echo does not count as voice either.
    """

    def __init__(
        self,
        clock: Clock,
        dtmf_active: Callable[[], bool] = lambda: False,
        *,
        sent: SentFrames | None = None,
        mode: int = 2,
        end_silence: float = END_SILENCE,
        max_duration: float = MAX_UTTERANCE,
        on_start: Callable[[Utterance], None] = lambda utterance: None,
        on_dropped: Callable[[Utterance], None] = lambda utterance: None,
    ) -> None:
        self._clock, self._dtmf_active, self._on_start, self._on_dropped = clock, dtmf_active, on_start, on_dropped
        hangover = max(1, nearest_frame_count(end_silence))
        self.detector = (
            VoiceActivityDetector(mode, hangover, sent.take, lambda: sent.may_echo)
            if sent is not None
            else VoiceActivityDetector(mode, hangover)
        )
        self._gap_timeout = end_silence + _JITTER_ALLOWANCE
        self._max_duration = max_duration - PTIME / 2
        self._pre_roll: deque[bytes] = deque(maxlen=_PRE_ROLL_FRAMES + _MAX_ONSET_FRAMES)
        self._current: Utterance | None = None
        self._last_audio_at = 0.0
        self._gap_timer: asyncio.TimerHandle | None = None
        self._pending: deque[Utterance] = deque()
        self._closed = False
        self._count = 0
        self._changed = asyncio.Event()
        self.dropped = 0

    @property
    def current(self) -> Utterance | None:
        """The utterance that is being spoken; None between utterances."""
        return self._current

    @property
    def has_pending(self) -> bool:
        """Whether an utterance has begun that the iteration has not yet returned."""
        return bool(self._pending)

    def on_event(self, event: Event) -> None:
        """Process received audio. The keypad must process it first, as `dtmf_active` depends on the keypad."""
        if not isinstance(event, Audio):
            return
        self._last_audio_at = self._clock()
        detector, dtmf = self.detector, self._dtmf_active()
        if detector in event.fed:
            self._on_frame(event.pcm, dtmf)
            return
        power = event.power if detector.at_frame_start else None
        for frame in detector.whole_frames(event.pcm):
            detector.feed_frame(frame, dtmf, power)
            self._on_frame(frame, dtmf)

    def close(self) -> None:
        """End the present utterance now. The iteration ends after it has returned the pending utterances."""
        self._closed = True
        self._finish()
        self._changed.set()

    def take_pending(self) -> list[Utterance]:
        """Remove and return all pending utterances."""
        pending = list(self._pending)
        self._pending.clear()
        return pending

    def __aiter__(self) -> "Endpointer":
        return self

    async def __anext__(self) -> Utterance:
        while not self._pending:
            if self._closed:
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        return self._pending.popleft()

    def _on_frame(self, frame: bytes, dtmf: bool) -> None:
        """Process a frame that the voice activity detector has been fed already."""
        detector = self.detector
        speaking = detector.speaking
        voice = detector.last_voiced_frame == detector.frames
        self._pre_roll.append(SILENCE if dtmf else frame)
        if self._current is None and speaking and voice:
            self._begin()
        elif self._current is not None:
            self._current.push_frame(self._pre_roll.pop())
        if self._current is not None:
            if voice:
                self._current.mark_voice(detector.frames * PTIME)
            if not speaking or self._current.seconds > self._max_duration:
                self._finish(cut=speaking)

    def _begin(self) -> None:
        onset_frames = self.detector.frames - self.detector.began_frame + 1
        while len(self._pre_roll) > _PRE_ROLL_FRAMES + onset_frames:
            self._pre_roll.popleft()
        began = self.detector.frames - min(onset_frames, len(self._pre_roll))
        self._count += 1
        self._current = utterance = Utterance(self._count, began * PTIME, self._clock)
        for frame in self._pre_roll:
            utterance.push_frame(frame)
        self._pre_roll.clear()
        self._drop_oldest()
        self._pending.append(utterance)
        self._changed.set()
        self._watch_for_gap()
        self._on_start(utterance)

    def _finish(self, cut: bool = False) -> None:
        if self._gap_timer is not None:
            self._gap_timer.cancel()
            self._gap_timer = None
        if self._current is not None:
            self._current.finish(cut)
            self._current = None

    def _drop_oldest(self) -> None:
        while sum(utterance.seconds for utterance in self._pending) > _MAX_PENDING:
            self.dropped += 1
            self._on_dropped(self._pending.popleft())

    def _watch_for_gap(self) -> None:
        """End the utterance if the peer stops sending audio.

        Some peers send no audio while the caller pauses. Other peers have lost their connection.
        """
        due = self._last_audio_at + self._gap_timeout - self._clock()
        if due > 0:
            self._gap_timer = asyncio.get_running_loop().call_later(due, self._watch_for_gap)
        else:
            self._gap_timer = None
            self._finish()


def _ignore_end() -> None:
    """Do nothing. Stands in for the callback at an utterance's end if there is none."""
