"""The keypad: DTMF digits that the caller presses, buffered until a handler collects them."""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mediaserver.audio.detection.dtmf import DtmfDetector
from mediaserver.call.stream import Clock
from mediaserver.wire.events import Audio, Digit, Event

MAX_TYPED_AHEAD = 64  # the most digits that the type-ahead buffer holds; beyond them, the oldest are dropped
_TERMINATOR_GRACE = 1.0  # seconds after a collection of one digit in which a needless terminator is dropped
_SAME_PRESS = 0.5  # seconds after a tone, within which a message with the same digit means the same key press


Patience = Callable[[], float]


def _ignore() -> None:
    """Do nothing. Stands in for a callback that was not given."""


@dataclass(frozen=True, slots=True)
class CollectedDigits:
    """The digits that a caller pressed when a handler asked for some."""

    digits: str  # the digits in order, without the terminator
    timed_out: bool  # whether the first-digit or the interdigit time-out ended the collection
    spoke: bool = False  # whether the caller's speech stopped the prompt


class Keypad:
    """Receives digits, and keeps them in a type-ahead buffer until a handler collects them.

    The buffer is for callers who know a menu, and press keys before the menu asks for digits.

    Digits come as messages (AudioSocket), or as DTMF tones, which VoIPBIN leaves in the audio. Once a peer has
    sent a digit as a message, its audio is not searched for tones any more, so that no press counts twice.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.dtmf_active = False  # whether a DTMF tone is being received
        self.detector: DtmfDetector | None = DtmfDetector()  # None once a digit has come as a message
        self._last_tone = ""  # the last digit that was detected as a tone
        self._last_tone_at = 0.0  # the time at which a DTMF tone was last received
        # The buffer is mostly empty, and mostly nobody waits: a deque and an event take 1.4 KB for each stream.
        self._typed_ahead: list[str] = []
        self._arrived: asyncio.Event | None = None  # set when a digit arrives; None until a task waits for one
        self._ignored, self._ignored_until = "", 0.0
        self._interceptors: tuple[tuple[str, Callable[[], None]], ...] = ()
        self._waiting: dict[object, Patience] = {}  # how long each task that waits for a digit will wait
        self.on_waiting: Callable[[], None] = _ignore  # called when a task begins to wait for a digit
        self.presses = 0  # number of digits received so far
        self.awaited = False  # whether a handler has asked for a digit

    def on_event(self, event: Event) -> None:
        """Process audio, which may have DTMF tones in it, or a digit that came as a message."""
        if isinstance(event, Audio):
            digits = self._detect(event)
            if not digits:  # nearly all audio holds no digit
                return
        elif isinstance(event, Digit):
            same_press = event.digit == self._last_tone and self._clock() - self._last_tone_at <= _SAME_PRESS
            digits = "" if same_press else event.digit
            self.detector, self._last_tone, self.dtmf_active = None, "", False
        else:
            return
        self.presses += len(digits)
        if digits and self._ignored:
            if digits[0] in self._ignored and self._clock() <= self._ignored_until:
                digits = digits[1:]
            self._ignored = ""
        for digit in digits:
            callbacks = [on_digit for intercepted, on_digit in self._interceptors if digit in intercepted]
            for on_digit in callbacks:
                on_digit()
            if not callbacks:
                self._type_ahead(digit)

    def _type_ahead(self, digit: str) -> None:
        self._typed_ahead.append(digit)
        del self._typed_ahead[:-MAX_TYPED_AHEAD]
        if self._arrived is not None:
            self._arrived.set()

    def _detect(self, audio: Audio) -> str:
        if self.detector is None:
            return ""
        if audio.digits is not None:
            digits, self.dtmf_active = audio.digits, audio.key_held
        else:
            digits = self.detector.feed(audio.pcm)
            self.dtmf_active = self.detector.holding
        if digits:
            self._last_tone = digits[-1]
        if digits or self.dtmf_active:
            self._last_tone_at = self._clock()
        return digits

    async def collect(
        self, count: int, terminator: str, timeout: float, interdigit: float, enough: Callable[[str], bool]
    ) -> tuple[str, bool]:
        """Collect up to `count` digits. Returns the digits, and whether a time-out ended the collection.

        The first digit may take `timeout` seconds, a further one `interdigit` seconds. The collection also ends
        at the `terminator`, and when `enough` returns True for the digits so far.
        """
        digits = ""
        while len(digits) < count and not enough(digits):
            digit = await self.next_digit(interdigit if digits else timeout)
            if not digit or digit in terminator:
                return digits, not digit
            digits += digit
        self.ignore_next(terminator, interdigit if count > 1 else _TERMINATOR_GRACE)
        return digits, False

    def ignore_next(self, digits: str, timeout: float) -> None:
        """Drop the next digit if it is one of `digits` and comes within `timeout` seconds.

        Callers press the terminator out of habit, even where a fixed number of digits makes it needless.
        """
        if self._typed_ahead:
            if self._typed_ahead[0] in digits:
                del self._typed_ahead[0]
        else:
            self._ignored, self._ignored_until = digits, self._clock() + timeout

    @property
    def has_digit(self) -> bool:
        """Whether the type-ahead buffer has a digit."""
        return bool(self._typed_ahead)

    async def next_digit(self, timeout: float | None = None) -> str:
        """Wait for the next digit and return it; "" where none is pressed within `timeout` seconds."""
        deadline = self._clock() + (timeout or 0.0)
        try:
            async with asyncio.timeout(timeout):
                await self.wait_for_digit(lambda: deadline - self._clock())
        except TimeoutError:
            return ""
        return self._typed_ahead.pop(0)

    async def wait_for_digit(self, patience: Patience = float) -> None:
        """Wait until the type-ahead buffer has a digit.

        `patience` returns the number of seconds for which the call will do nothing but wait for a digit.
        """
        self.awaited = True
        waiting = object()
        self._waiting[waiting] = patience
        try:
            while not self._typed_ahead:  # another waiting task may have taken the digit
                arrived = self._arrived = self._arrived or asyncio.Event()
                arrived.clear()
                self.on_waiting()
                await arrived.wait()
        finally:
            del self._waiting[waiting]

    @property
    def is_waiting(self) -> bool:
        """Whether a task waits for a digit, and the type-ahead buffer has none."""
        return bool(self._waiting) and not self._typed_ahead

    @property
    def patience(self) -> float:
        """Seconds for which the call will do nothing but wait for a digit; 0.0 where that is not known."""
        return max((0.0, *(patience() for patience in self._waiting.values())))

    @contextlib.contextmanager
    def intercept(self, digits: str, on_digit: Callable[[], None]) -> Iterator[None]:
        """Within a `with` block, call `on_digit` when one of `digits` is pressed, and do not buffer that digit."""
        self.awaited = True
        interceptor = digits, on_digit
        self._interceptors = (*self._interceptors, interceptor)
        try:
            yield
        finally:
            self._interceptors = tuple(each for each in self._interceptors if each is not interceptor)

    def drain_digits(self) -> str:
        """Empty the type-ahead buffer, and return its digits."""
        digits = "".join(self._typed_ahead)
        self._typed_ahead.clear()
        return digits

    def reset(self) -> None:
        """Forget the digits typed ahead and those that `ignore_next` is to drop, as another handler takes over."""
        self._typed_ahead.clear()
        self._ignored = ""
