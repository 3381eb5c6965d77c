"""Digits that a caller presses, and what a handler asks of them."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from mediaserver.audio.dtmf import DtmfDetector
from mediaserver.call.stream import Clock
from mediaserver.wire.events import Audio, Digit, Event

MAX_TYPED_AHEAD = 64
_SAME_PRESS = 0.5  # seconds: a message this soon after its tone is the same press


class BargeIn(StrEnum):
    """What of a caller's stops a prompt."""

    OFF = "off"
    DIGITS = "digits"
    SPEECH = "speech"  # speech as well as digits


@dataclass(frozen=True, slots=True)
class Collected:
    """What a caller pressed when asked. `timed_out` where less came than was asked for."""

    digits: str
    timed_out: bool
    spoke: bool = False  # whether speech stopped the prompt


class Keypad:
    """Digits as they are pressed, kept until somebody asks: callers who know a menu type ahead.

    They come as messages (AudioSocket) or in the audio, where VoIPBIN leaves them. A peer that sends messages is
    not listened to for tones any more: it would be heard twice.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._detector: DtmfDetector | None = DtmfDetector()
        self._toned, self._let_go = "", 0.0  # the last digit heard as a tone, and when it was still heard
        self._waiting: deque[str] = deque(maxlen=MAX_TYPED_AHEAD)
        self._came = asyncio.Event()
        self._passed_over, self._until = "", 0.0
        self._takers: tuple[tuple[str, Callable[[], None]], ...] = ()
        self.pressed = 0  # keys that came
        self.wanted = False  # somebody has waited for one

    def take(self, event: Event) -> None:
        """Take in what is heard."""
        if isinstance(event, Audio):
            digits = self._listen(event.pcm)
        elif isinstance(event, Digit):
            same_press = event.digit == self._toned and self._clock() - self._let_go <= _SAME_PRESS
            digits = "" if same_press else event.digit
            self._detector, self._toned = None, ""
        else:
            return
        self.pressed += len(digits)
        if digits and self._passed_over:
            if digits[0] in self._passed_over and self._clock() <= self._until:
                digits = digits[1:]
            self._passed_over = ""
        for digit in digits:
            takers = [pressed for wanted, pressed in self._takers if digit in wanted]
            for pressed in takers:
                pressed()
            if not takers:
                self._waiting.append(digit)
                self._came.set()

    def _listen(self, pcm: bytes) -> str:
        if self._detector is None:
            return ""
        digits = self._detector.feed(pcm)
        if digits:
            self._toned = digits[-1]
        if self._detector.holding:
            self._let_go = self._clock()
        return digits

    @property
    def toning(self) -> bool:
        """Whether a key's tone is being heard."""
        return self._detector is not None and self._detector.holding

    def pass_over(self, digits: str, seconds: float) -> None:
        """One of these, if it comes next and soon, is for nobody: a terminator after the last digit asked for."""
        if self._waiting:
            if self._waiting[0] in digits:
                self._waiting.popleft()
        else:
            self._passed_over, self._until = digits, self._clock() + seconds

    @property
    def waiting(self) -> bool:
        """Whether a digit waits to be asked for."""
        return bool(self._waiting)

    async def press(self, seconds: float | None = None) -> str:
        """The next digit, or nothing where none is pressed in so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self.wait()
        except TimeoutError:
            return ""
        return self._waiting.popleft()

    async def wait(self) -> None:
        """Until a digit waits to be asked for."""
        self.wanted = True
        while not self._waiting:  # of several who wait for it, one gets it
            self._came.clear()
            await self._came.wait()

    @contextlib.contextmanager
    def taking(self, digits: str, pressed: Callable[[], None]) -> Iterator[None]:
        """Call `pressed` when one of these comes, which then is for nobody else."""
        self.wanted = True
        taker = digits, pressed
        self._takers = (*self._takers, taker)
        try:
            yield
        finally:
            self._takers = tuple(each for each in self._takers if each is not taker)

    def take_waiting(self) -> str:
        """All the digits that wait; none waits any more."""
        digits = "".join(self._waiting)
        self._waiting.clear()
        return digits
