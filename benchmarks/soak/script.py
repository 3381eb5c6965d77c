"""Scripts of the audio that calls must hear, byte by byte, and checks that a call has heard its script.

A script has PCM. Checks compare payloads in the codec of a stream: 16-bit PCM, µ-law or A-law.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import FRAME_SAMPLES
from mediaserver.wire.encapsulation import Encoding

LINGER = 10  # frames of silence before the server closes a stream: its default linger_ms, 200
LOOK_AHEAD = 250  # frames of a script in which an unexpected frame is searched, to count the frames lost


@dataclass(frozen=True)
class Script:
    """PCM to be heard: `lead` once, then `loop`, `times` times (None: for ever), beginning at its byte `start`."""

    lead: bytes
    loop: bytes
    times: int | None
    start: int = 0
    label: str = ""


class Part:
    """The frames of a script in one codec."""

    def __init__(self, script: Script, encoding: Encoding) -> None:
        self.label, self._times = script.label, script.times
        self._lead, self._loop = coded(script.lead, encoding), coded(script.loop, encoding)
        self._start = script.start * encoding.sample_bytes // 2
        self._width = encoding.sample_bytes * FRAME_SAMPLES
        self._silence = encoding.compand(bytes(2 * FRAME_SAMPLES))
        size = None if self._times is None else len(self._lead) + self._times * len(self._loop) - self._start
        self._size = size
        self.frames = None if size is None else -(-size // self._width)  # None for an endless script

    def frame(self, number: int) -> bytes:
        """The payload of the frame with this number, counted from 0; silence after the last frame."""
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
    """Encode PCM in a stream's codec."""
    return encoding.compand(pcm)


class Check(Protocol):
    """Checks the audio of one call. `lost` counts expected frames that are missing, `wrong` unexpected frames."""

    lost: int
    wrong: int
    waits: int  # frames of silence that the server sent because its audio was not ready

    @property
    def label(self) -> str:
        """The label of the script that was heard, if several were possible."""

    def take(self, payload: bytes) -> None:
        """Check the audio payload of the next message."""

    def closed(self) -> None:
        """Check that the server was right to close the stream as complete."""


class Exactly:
    """Checks that a call hears one of several scripts completely. The first frames show which one.

    `scripts` is called when the first audio arrives, because prompts may be replaced until then.
    """

    def __init__(self, encoding: Encoding, scripts: Callable[[bytes], Sequence[Script]]) -> None:
        self._encoding, self._scripts = encoding, scripts
        self._silence = encoding.compand(bytes(2 * FRAME_SAMPLES))
        self._parts: list[Part] = []
        self._at = 0
        self.lost = self.wrong = self.waits = 0

    @property
    def label(self) -> str:
        """The label of the script that fits the frames received so far."""
        return self._parts[0].label if self._parts else ""

    def take(self, payload: bytes) -> None:
        """Check that the payload is the next frame. For a later frame of the script, count the frames between."""
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
        """Count the frames that are missing up to the script's end and the silence after it."""
        ends = [part.frames + LINGER for part in self._parts if part.frames is not None]
        self.lost += max(0, min(ends) - self._at) if ends else 1


class Sections:
    """Checks prompts in a sequence, with any silence between them. All but the last may be faded out early."""

    label = ""  # no label, because only one script is possible

    def __init__(self, encoding: Encoding, sections: Sequence[Script]) -> None:
        self._encoding = encoding
        self._parts = [Part(script, encoding) for script in sections]
        self._silence = encoding.compand(bytes(2 * FRAME_SAMPLES))
        self._at = 0
        self.lost = self.wrong = self.waits = 0

    def take(self, payload: bytes) -> None:
        """Check that the payload is the next frame of the present prompt, or the first frame of a later one."""
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
        """Count the frames of the last prompt that are missing."""
        last = self._parts[-1].frames or 0
        self.lost += max(0, last + LINGER - self._at) if len(self._parts) == 1 else last


class Returned:
    """Checks that an echo returns the sent frames in order. It may drop frames and wait: both count as `waits`."""

    label = ""  # no label, because only one script is possible

    def __init__(self, encoding: Encoding) -> None:
        self._said: deque[bytes] = deque()
        self._silence = encoding.compand(bytes(2 * FRAME_SAMPLES))
        self._begun = False
        self.lost = self.wrong = self.waits = 0

    def say(self, payload: bytes) -> None:
        """Note a payload that the caller has sent, and that the echo must return."""
        self._said.append(payload)

    def take(self, payload: bytes) -> None:
        """Check that the payload is the oldest sent frame that was not returned yet, or a later one."""
        if payload == self._silence:
            self.waits += self._begun
        elif payload in self._said:
            self._begun = True
            while self._said.popleft() != payload:
                self.waits += 1
        else:
            self.wrong += 1

    def closed(self) -> None:
        """Count an error, because the server never closes an echo by itself."""
        self.wrong += 1


class Silence:
    """Checks that a call hears silence only, as during a recording."""

    label = ""  # no label, because only one script is possible

    def __init__(self, encoding: Encoding) -> None:
        self._silence = encoding.compand(bytes(2 * FRAME_SAMPLES))
        self.lost = self.wrong = self.waits = 0

    def take(self, payload: bytes) -> None:
        """Check that the payload is silence."""
        self.wrong += payload != self._silence

    def closed(self) -> None:
        """Count an error, because only the caller ends such a call."""
        self.wrong += 1
