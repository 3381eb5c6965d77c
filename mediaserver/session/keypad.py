"""Digits that a caller presses, and what a handler asks of them."""

import asyncio
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from mediaserver.audio.dtmf import DtmfDetector
from mediaserver.wire.events import Audio, Digit, Event

MAX_TYPED_AHEAD = 64
_SAME_PRESS = 25  # messages of audio, half a second: a tone and a message this close are one press


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

    def __init__(self) -> None:
        self._detector: DtmfDetector | None = DtmfDetector()
        self._toned, self._since = "", 0  # the last digit heard as a tone, and how many messages ago
        self._waiting: deque[str] = deque(maxlen=MAX_TYPED_AHEAD)
        self._came = asyncio.Event()

    def take(self, event: Event) -> None:
        """Take in what is heard."""
        if isinstance(event, Audio):
            digits = self._listen(event.pcm)
        elif isinstance(event, Digit):
            same_press = event.digit == self._toned and self._since <= _SAME_PRESS
            digits = "" if same_press else event.digit
            self._detector, self._toned = None, ""
        else:
            return
        if digits:
            self._waiting.extend(digits)
            self._came.set()

    def _listen(self, pcm: bytes) -> str:
        if self._detector is None:
            return ""
        digits = self._detector.feed(pcm)
        self._since += 1
        if digits:
            self._toned, self._since = digits[-1], 0
        return digits

    @property
    def waiting(self) -> bool:
        """Whether a digit waits to be asked for."""
        return bool(self._waiting)

    async def press(self, seconds: float | None = None) -> str:
        """The next digit, or nothing where none is pressed in so many seconds."""
        if not self._waiting:
            self._came.clear()
            try:
                await asyncio.wait_for(self._came.wait(), seconds)
            except TimeoutError:
                return ""
        return self._waiting.popleft()

    async def wait(self) -> None:
        """Until a digit waits to be asked for."""
        if not self._waiting:
            self._came.clear()
            await self._came.wait()

    def take_waiting(self) -> str:
        """All the digits that wait; none waits any more."""
        digits = "".join(self._waiting)
        self._waiting.clear()
        return digits
