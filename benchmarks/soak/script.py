"""What a call is to hear, to the byte, and whether it does.

All bytes here are those of a stream's codec: 16-bit PCM, µ-law or A-law.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import FRAME_SAMPLES
from mediaserver.wire.encapsulation import Encoding

LINGER = 10  # frames of silence before the server closes: linger_ms of 200
LOOK_AHEAD = 250  # frames within which what was heard instead is looked for


@dataclass(frozen=True)
class Script:
    """PCM to be heard: a `lead` once, then a `loop` so many times (None: for ever) from byte `start` of it on."""

    lead: bytes
    loop: bytes
    times: int | None
    start: int = 0
    label: str = ""


class Part:
    """A script in one codec, frame by frame."""

    def __init__(self, script: Script, encoding: Encoding) -> None:
        self.label, self._times = script.label, script.times
        self._lead, self._loop = coded(script.lead, encoding), coded(script.loop, encoding)
        self._start = script.start * encoding.sample_bytes // 2
        self._width = encoding.sample_bytes * FRAME_SAMPLES
        self._silence = encoding.compand(bytes(2 * FRAME_SAMPLES))
        size = None if self._times is None else len(self._lead) + self._times * len(self._loop) - self._start
        self._size = size
        self.frames = None if size is None else -(-size // self._width)  # None: without end

    def frame(self, number: int) -> bytes:
        """The frame of a number; silence after the last one."""
        at = number * self._width
        end = at + self._width if self._size is None else min(at + self._width, self._size)
        sound = b""
        while at < end:
            sound += (piece := self._piece(at, end))
            at += len(piece)
        return sound + self._silence[len(sound) :]

    def _piece(self, at: int, end: int) -> bytes:
        if at < len(self._lead):
            return self._lead[at:end]
        offset = (self._start + at - len(self._lead)) % len(self._loop)
        return self._loop[offset : offset + end - at]


@lru_cache(maxsize=256)
def coded(pcm: bytes, encoding: Encoding) -> bytes:
    """PCM in a stream's codec."""
    return encoding.compand(pcm)


class Check(Protocol):
    """Listens to one call. Lost are frames that should have come, wrong those that should not have."""

    lost: int
    wrong: int
    waits: int  # frames of silence for want of sound

    @property
    def label(self) -> str:
        """Which of several that were possible was heard."""

    def take(self, payload: bytes) -> None:
        """The sound of one message."""

    def closed(self) -> None:
        """The server closed the stream as one that is done."""


class Exactly:
    """One of several scripts, whole: which of them, the first frames tell.

    `scripts` is asked when the first sound comes, for prompts may be replaced until then.
    """

    def __init__(self, encoding: Encoding, scripts: Callable[[bytes], Sequence[Script]]) -> None:
        self._encoding, self._scripts = encoding, scripts
        self._silence = encoding.compand(bytes(2 * FRAME_SAMPLES))
        self._parts: list[Part] = []
        self._at = 0
        self.lost = self.wrong = self.waits = 0

    @property
    def label(self) -> str:
        """The script that is left."""
        return self._parts[0].label if self._parts else ""

    def take(self, payload: bytes) -> None:
        """It must be the next frame; where it is another, look how many are missing."""
        if not self._at:
            self._parts = [Part(script, self._encoding) for script in self._scripts(payload)]
        for ahead in range(LOOK_AHEAD):
            if matching := [part for part in self._parts if part.frame(self._at + ahead) == payload]:
                self._parts = matching
                self._at += ahead + 1
                self.lost += ahead
                return
            if not self._at and payload == self._silence:
                self.waits += 1
                return
        self._at += 1
        self.wrong += 1

    def closed(self) -> None:
        """The end, and the silence before it, must have been heard."""
        ends = [part.frames + LINGER for part in self._parts if part.frames is not None]
        self.lost += max(0, min(ends) - self._at) if ends else 1


class Sections:
    """Prompts in this order, of which all but the last may be faded out early, and any silence between them."""

    label = ""  # there was no choice

    def __init__(self, encoding: Encoding, sections: Sequence[Script]) -> None:
        self._encoding = encoding
        self._parts = [Part(script, encoding) for script in sections]
        self._silence = encoding.compand(bytes(2 * FRAME_SAMPLES))
        self._at = 0
        self.lost = self.wrong = self.waits = 0

    def take(self, payload: bytes) -> None:
        """The next frame of the prompt that plays, or the first of one after it."""
        if self._parts[0].frame(self._at) == payload:
            self._at += 1
            return
        for number, part in enumerate(self._parts[1:], 1):
            if part.frame(0) == payload:
                self._parts, self._at = self._parts[number:], 1
                return
        faded = self._encoding.compand(fade_out(self._encoding.expand(self._parts[0].frame(self._at))))
        self.wrong += payload not in (self._silence, faded)

    def closed(self) -> None:
        """All of the last one must have been heard."""
        last = self._parts[-1].frames or 0
        self.lost += max(0, last + LINGER - self._at) if len(self._parts) == 1 else last


class Returned:
    """What was said comes back, in order. An echo may let go of sound and wait for it: both are `waits`."""

    label = ""  # there was no choice

    def __init__(self, encoding: Encoding) -> None:
        self._said: deque[bytes] = deque()
        self._silence = encoding.compand(bytes(2 * FRAME_SAMPLES))
        self._begun = False
        self.lost = self.wrong = self.waits = 0

    def say(self, payload: bytes) -> None:
        """This will have to come back."""
        self._said.append(payload)

    def take(self, payload: bytes) -> None:
        """The oldest that has not come back, or a later one."""
        if payload == self._silence:
            self.waits += self._begun
        elif payload in self._said:
            self._begun = True
            while self._said.popleft() != payload:
                self.waits += 1
        else:
            self.wrong += 1

    def closed(self) -> None:
        """An echo never is."""
        self.wrong += 1


class Silence:
    """Silence, as a recording has it."""

    label = ""  # there was no choice

    def __init__(self, encoding: Encoding) -> None:
        self._silence = encoding.compand(bytes(2 * FRAME_SAMPLES))
        self.lost = self.wrong = self.waits = 0

    def take(self, payload: bytes) -> None:
        """Nothing else is to be heard."""
        self.wrong += payload != self._silence

    def closed(self) -> None:
        """It is for the caller to end."""
        self.wrong += 1
