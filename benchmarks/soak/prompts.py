"""The prompt folder: what may be heard under each name, while files are replaced, added, removed and broken.

A server may take changes in or not; a call may hear what a name meant at any time, but always all of it.
"""

import asyncio
import io
import random
import wave
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from mediaserver.audio.pcm import FRAME_SAMPLES, SAMPLE_BYTES, SAMPLE_RATE
from mediaserver.wire.encapsulation import Encoding

from .formats import noise
from .script import Script, coded

ON_PURPOSE = "on-purpose"  # stands in every mistake that is made on purpose, so that its line in the log is known
_KEPT = 4  # versions of a prompt that may still be heard, beside the first one
STEADY = tuple(f"steady/{number}" for number in range(4))
CHANGING = tuple(f"changing/{number}" for number in range(4))
FRAGILE = tuple(f"{ON_PURPOSE}/{number}" for number in range(2))  # replaced by what is no sound, and back
PASSING = tuple(f"passing/{number}" for number in range(2))  # now there, now not
MENU = ("menu/main", "menu/thanks", "menu/bye")
MUSIC = ("music/a", "music/b")


class Prompts:
    """The folder. `longest`: seconds of the longest prompt."""

    def __init__(self, folder: Path, rng: random.Random, longest: float) -> None:
        self._folder, self._rng, self._longest = folder, rng, longest
        self._versions: dict[str, list[tuple[int, bytes]]] = {}
        self.changes: Counter[str] = Counter()
        for name in (*STEADY, *CHANGING, *FRAGILE, *MENU, *MUSIC):
            self._renew(name)

    def pcm(self, name: str) -> bytes:
        """The first sound of a prompt."""
        return self._versions[name][0][1]

    def scripts(self, name: str, times: int) -> list[Script]:
        """All that may be heard under a name, `times` over."""
        return [Script(b"", pcm, times, label=f"{name} {number}") for number, pcm in self._versions.get(name, [])]

    def size(self, name: str) -> float:
        """Seconds of a prompt, about."""
        versions = self._versions.get(name)
        return len(versions[0][1]) / SAMPLE_BYTES / SAMPLE_RATE if versions else 1.0

    async def change(self, over: asyncio.Event, every: float) -> None:
        """Change something every so many seconds, about, until it is over."""
        while not await passed(over, self._rng.uniform(0.5, 1.5) * every):
            what = self._rng.choice(("replaced", "replaced", "added", "removed", "broken"))
            await asyncio.to_thread(self._change, what)
            self.changes[what] += 1

    def _change(self, what: str) -> None:
        match what:
            case "replaced":
                self._renew(self._rng.choice((*CHANGING, *FRAGILE)))
            case "added":
                self._renew(self._rng.choice(PASSING))
            case "removed":
                self._file(self._rng.choice(PASSING)).unlink(missing_ok=True)
            case "broken":
                self._write(self._rng.choice(FRAGILE), b"RIFF\x24\0\0\0WAVEnonsense")

    def _renew(self, name: str) -> None:
        """Another sound under a name; it may be heard from before it is there."""
        number = self._versions[name][-1][0] + 1 if name in self._versions else int(name in PASSING)
        seconds = self._rng.uniform(0.5, 1.5) if name in MENU else self._rng.uniform(0.3, 1) * self._longest
        pcm = noise(self._rng, int(seconds * 50), self._rng.randrange(FRAME_SAMPLES))
        first, later = self._versions.get(name, [])[:1], self._versions.get(name, [])[1:]
        self._versions[name] = [*first, *later[1 - _KEPT :], (number, pcm)]
        self._write(name, _wav(pcm))

    def _write(self, name: str, content: bytes) -> None:
        """As deployments do: beside it first, then all at once."""
        file = self._file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        hidden = file.with_name(f".{file.name}")
        hidden.write_bytes(content)
        hidden.replace(file)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.wav"


class Music:
    """Hold music: one timeline, joined anywhere at a frame of a piece."""

    def __init__(self, prompts: Prompts) -> None:
        self._pieces = [prompts.pcm(name) for name in MUSIC]
        self._pcm = b"".join(self._pieces)
        self._places: dict[str, dict[bytes, int]] = {}

    def scripts(self, first: bytes, encoding: Encoding) -> list[Script]:
        """The music from where it is joined with this frame."""
        places = self._places.setdefault(encoding.name, {})
        if not places:
            places.update(self._index(encoding))
        return [Script(b"", self._pcm, None, places[first])] if first in places else []

    def _index(self, encoding: Encoding) -> Iterator[tuple[bytes, int]]:
        """Every frame that may be the first one, and its byte of the PCM."""
        sound = coded(self._pcm, encoding)
        sound, width, begin = sound + sound, encoding.sample_bytes * FRAME_SAMPLES, 0
        for piece in self._pieces:
            end = begin + len(piece) // SAMPLE_BYTES * encoding.sample_bytes
            for at in range(begin, end, width):
                yield sound[at : at + width], at * SAMPLE_BYTES // encoding.sample_bytes
            begin = end


async def passed(over: asyncio.Event, seconds: float) -> bool:
    """Wait so long, or until it is over; whether it is."""
    try:
        async with asyncio.timeout(seconds):
            await over.wait()
    except TimeoutError:
        return False
    return True


def _wav(pcm: bytes) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(SAMPLE_BYTES)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm)
    return content.getvalue()
