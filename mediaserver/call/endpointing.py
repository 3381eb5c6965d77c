"""What is heard, cut into utterances: each from a little before its first sound to the pause after its last."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator

from mediaserver.audio.pcm import FRAME_BYTES, PTIME, SILENCE, nearest_frame_count
from mediaserver.audio.vad import ONSET_FRAMES, VoiceActivityDetector
from mediaserver.call.stream import Clock
from mediaserver.errors import EngineError
from mediaserver.speech.stt.interface import Recognition, SttEngine
from mediaserver.wire.events import Audio, Event

END_SILENCE = 0.7  # seconds without voice that end an utterance: people pause for half of one to think
LONGEST = 30.0  # seconds, after which one is cut
_BEFORE = 15  # frames before the onset that belong to it: the first consonant is no voice to a detector
_PIECE = 5  # frames that are handed on together
_MOST_WAITING = 60.0  # seconds of sound that may wait for somebody who is slow
_HELD_UP = 0.5  # seconds by which a peer's sound may be late, and still be expected


class Utterance:
    """What somebody says in one go. Its sound can be iterated over once, while it is still being said: 16-bit PCM
    in pieces of 100 ms or more.

    `start` and `end` are those of the voice, in seconds of what was heard; its sound has a little more at both
    ends. `heard_at` and `over_at` are times of the clock: when its last voice was heard, and when it was known
    to be over.
    """

    def __init__(self, number: int, start: float, clock: Clock) -> None:
        self.number = number  # of the stream's, from 1
        self.start = self.end = start
        self.clock = clock
        self.heard_at = self.over_at = clock()
        self.over = False  # nothing more comes
        self.cut = False  # it was too long: the next one goes on with it
        self.seconds = 0.0  # of its sound so far
        self._frames: list[bytes] = []  # that nobody has taken
        self._news = asyncio.Event()
        self._when_over: Callable[[], None] = _nothing

    async def words(
        self,
        recogniser: SttEngine,
        timeout: float,
        partial: Callable[[str], None] = lambda text: None,
        language: str = "",
    ) -> Recognition:
        """What an engine recognises in it; EngineError where there is nothing `timeout` seconds after its end."""
        try:
            async with asyncio.timeout(None) as limit:
                loop = asyncio.get_running_loop()
                with self._once_over(lambda: limit.reschedule(loop.time() + timeout)):
                    return await recogniser.recognise(self, partial, language)
        except TimeoutError:
            raise EngineError(f"no words within {timeout:g} s of the end") from None

    @contextlib.contextmanager
    def _once_over(self, act: Callable[[], None]) -> Iterator[None]:
        """Do something as soon as it is over, if it still matters then."""
        if self.over:
            act()
        self._when_over = act
        try:
            yield
        finally:
            self._when_over = _nothing

    def add(self, frame: bytes) -> None:
        """More of it has come."""
        self._frames.append(frame)
        self.seconds += PTIME
        if len(self._frames) >= _PIECE:
            self._news.set()

    def voiced(self, end: float) -> None:
        """There was voice in it until now."""
        self.end, self.heard_at = end, self.clock()

    def finish(self, cut: bool = False) -> None:
        """That was all of it."""
        self.over, self.over_at, self.cut = True, self.clock(), cut
        self._news.set()
        self._when_over()

    def __aiter__(self) -> "Utterance":
        return self

    async def __anext__(self) -> bytes:
        while not self._news.is_set():
            await self._news.wait()
        if not self._frames:
            raise StopAsyncIteration
        pcm = b"".join(self._frames)
        self._frames.clear()
        if not self.over:
            self._news.clear()
        return pcm


class Utterances:
    """Iterates over utterances, each from its beginning on, until it is closed and none waits.

    `mode` is the detector's; `onset` the frames in a row with voice that begin one, `end_silence` the seconds
    without that end it, `longest` the seconds after which it is cut. `started` is told of each at once. Where more
    than a minute of sound waits, the oldest gives way: `lost` is told of it, and `dropped` counts them.
    """

    def __init__(
        self,
        clock: Clock,
        toning: Callable[[], bool] = lambda: False,
        *,
        mode: int = 2,
        onset: int = ONSET_FRAMES,
        end_silence: float = END_SILENCE,
        longest: float = LONGEST,
        started: Callable[[Utterance], None] = lambda utterance: None,
        lost: Callable[[Utterance], None] = lambda utterance: None,
    ) -> None:
        self._clock, self._toning, self._started, self._lost = clock, toning, started, lost
        self._detector = VoiceActivityDetector(mode, onset, max(1, nearest_frame_count(end_silence)))
        self._onset, self._patience = onset, end_silence + _HELD_UP
        self._longest = longest - PTIME / 2
        self._before: deque[bytes] = deque(maxlen=_BEFORE + onset)
        self._rest = b""
        self._current: Utterance | None = None
        self._heard_at = 0.0
        self._watching: asyncio.TimerHandle | None = None
        self._waiting: deque[Utterance] = deque()
        self._closed = False
        self._begun = 0
        self._news = asyncio.Event()
        self.dropped = 0

    @property
    def current(self) -> Utterance | None:
        """What is being said."""
        return self._current

    @property
    def waiting(self) -> bool:
        """Whether one has begun that nobody has taken."""
        return bool(self._waiting)

    def take(self, event: Event) -> None:
        """Take in what is heard; the keypad has heard it already."""
        if not isinstance(event, Audio):
            return
        self._heard_at = self._clock()
        tone = self._toning()
        pcm = self._rest + event.pcm
        whole = len(pcm) - len(pcm) % FRAME_BYTES
        for at in range(0, whole, FRAME_BYTES):
            self._hear(pcm[at : at + FRAME_BYTES], tone)
        self._rest = pcm[whole:]

    def close(self) -> None:
        """Nothing more is heard: what is being said ends here."""
        self._closed = True
        self._finish()
        self._news.set()

    def left(self) -> list[Utterance]:
        """Take all that wait."""
        left = list(self._waiting)
        self._waiting.clear()
        return left

    def __aiter__(self) -> "Utterances":
        return self

    async def __anext__(self) -> Utterance:
        while not self._waiting:
            if self._closed:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()
        return self._waiting.popleft()

    def _hear(self, frame: bytes, tone: bool) -> None:
        detector = self._detector
        speaking = detector.feed(frame, tone)
        voice = detector.last_voiced_frame == detector.frames
        self._before.append(SILENCE if tone else frame)
        if self._current is None and speaking and voice:
            self._begin()
        elif self._current is not None:
            self._current.add(self._before.pop())
        if self._current is not None:
            if voice:
                self._current.voiced(detector.frames * PTIME)
            if not speaking or self._current.seconds > self._longest:
                self._finish(cut=speaking)

    def _begin(self) -> None:
        began = self._detector.frames - min(self._onset, len(self._before))
        self._begun += 1
        self._current = utterance = Utterance(self._begun, began * PTIME, self._clock)
        for frame in self._before:
            utterance.add(frame)
        self._before.clear()
        self._make_room()
        self._waiting.append(utterance)
        self._news.set()
        self._watch()
        self._started(utterance)

    def _finish(self, cut: bool = False) -> None:
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        if self._current is not None:
            self._current.finish(cut)
            self._current = None

    def _make_room(self) -> None:
        while sum(utterance.seconds for utterance in self._waiting) > _MOST_WAITING:
            self.dropped += 1
            self._lost(self._waiting.popleft())

    def _watch(self) -> None:
        """A peer that sends nothing in a pause, or none any more, has ended its utterance by that."""
        due = self._heard_at + self._patience - self._clock()
        if due > 0:
            self._watching = asyncio.get_running_loop().call_later(due, self._watch)
        else:
            self._watching = None
            self._finish()


def _nothing() -> None:
    """Nobody waits for an end."""
