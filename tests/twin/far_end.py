"""The far end of a stream: voices that speak and press keys, mixed into frames of 20 ms of linear PCM."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

FRAME_BYTES = 320
SILENCE = bytes(FRAME_BYTES)
_ROWS, _COLUMNS = (697, 770, 852, 941), (1209, 1336, 1477, 1633)  # ITU-T Q.23
_KEYS = "123A456B789C*0#D"


class Pressed(NamedTuple):
    """A key, and the monotonic time at which its tone's last sample was sent."""

    digit: str
    at: float


@dataclass
class Utterance:
    """Sound on its way to the client, with the monotonic times of its first and last frame."""

    frames: deque[bytes]
    ends: dict[int, str] = field(default_factory=dict)  # frames in which a digit's last sample is
    paced: bool = True
    count: int = 0  # of frames sent
    started_at: float | None = None
    ended_at: float | None = None

    def sent(self, at: float) -> str | None:
        """One more frame is on its way; the digit that ended in it."""
        self.started_at = at if self.started_at is None else self.started_at
        digit = self.ends.get(self.count)
        self.count += 1
        if not self.frames:
            self.ended_at = at
        return digit


def utterance(pcm: bytes, paced: bool = True, size: int = FRAME_BYTES, padded: bool = True) -> Utterance:
    """PCM in frames of `size` bytes; the last one is padded with silence, or stays short."""
    return Utterance(deque(_frames(pcm, size, padded)), paced=paced)


def keys(digits: str, on_ms: int, gap_ms: int, peak: float = 0.25) -> Utterance:
    """DTMF: two sines of `peak` of full scale each, `on_ms` long, with `gap_ms` of silence behind each digit."""
    on, gap = on_ms * 8, gap_ms * 8
    t = np.arange(on) / 8000
    sound, ends, at = [], {}, 0
    for digit in digits:
        row, column = divmod(_KEYS.index(digit), 4)
        pair = np.sin(2 * np.pi * _ROWS[row] * t) + np.sin(2 * np.pi * _COLUMNS[column] * t)
        sound += [pair * peak * 32767, np.zeros(gap)]
        frame = (at + on - 1) // 160
        assert frame not in ends, "two digits end in one frame"
        ends[frame] = digit
        at += on + gap
    return Utterance(deque(_frames(np.concatenate(sound).astype("<i2").tobytes())), ends)


def _frames(pcm: bytes, size: int = FRAME_BYTES, padded: bool = True) -> Iterable[bytes]:
    pcm += bytes(-len(pcm) % size if padded else 0)
    return (pcm[at : at + size] for at in range(0, len(pcm), size))


class FarEnd:
    """Voices by name; those that have something to say at the same time are heard together."""

    def __init__(self) -> None:
        self._voices: dict[object, deque[Utterance]] = {}

    @property
    def speaking(self) -> bool:
        """Whether any sound is still to be sent."""
        return any(said.frames for voice in self._voices.values() for said in voice)

    def add(self, voice: object, said: Utterance) -> None:
        self._voices.setdefault(voice, deque()).append(said)

    def burst(self) -> tuple[bytes, Utterance] | None:
        """The next frame that waits for no schedule."""
        for voice in self._voices.values():
            _skip_spent(voice)
            if voice and not voice[0].paced:
                return voice[0].frames.popleft(), voice[0]
        return None

    def frame(self) -> tuple[bytes | None, list[Utterance]]:
        """The next paced frame, None where all are silent, and whose sound is in it."""
        said = []
        for voice in self._voices.values():
            _skip_spent(voice)
            if voice and voice[0].paced:
                said.append(voice[0])
        return mix([one.frames.popleft() for one in said]) if said else None, said


def mix(frames: list[bytes]) -> bytes:
    """Frames as one: the sum of their samples, clipped. Where one is shorter, the others go on without it."""
    longest = max(map(len, frames))
    frames = [frame + bytes(longest - len(frame)) for frame in frames]
    total = np.sum([np.frombuffer(frame, "<i2") for frame in frames], axis=0, dtype=np.int32)
    return total.clip(-32768, 32767).astype("<i2").tobytes()


def _skip_spent(voice: deque[Utterance]) -> None:
    while voice and not voice[0].frames:
        voice.popleft()
