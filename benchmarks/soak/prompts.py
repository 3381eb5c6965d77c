"""The prompt folder of a soak test, whose files are replaced, added, removed and broken while calls play them.

A call may hear any version that its prompt has had, because the server may notice a change late, but it must hear
one version completely.
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

ON_PURPOSE = "on-purpose"  # a word in every mistake that the test makes on purpose, to recognise its log lines
_KEPT = 4  # the number of latest versions of a prompt that may still be heard, besides the first version
STEADY = tuple(f"steady/{number}" for number in range(4))
CHANGING = tuple(f"changing/{number}" for number in range(4))
FRAGILE = tuple(f"{ON_PURPOSE}/{number}" for number in range(2))  # prompts that are broken and repaired
PASSING = tuple(f"passing/{number}" for number in range(2))  # prompts that are added and removed
MENU = ("menu/main", "menu/thanks", "menu/bye")
MUSIC = ("music/a", "music/b")


class Prompts:
    """The prompt folder. `longest` is the duration of the longest prompt in seconds."""

    def __init__(self, folder: Path, rng: random.Random, longest: float) -> None:
        self._folder, self._rng, self._longest = folder, rng, longest
        self._versions: dict[str, list[tuple[int, bytes]]] = {}
        self.changes: Counter[str] = Counter()
        for name in (*STEADY, *CHANGING, *FRAGILE, *MENU, *MUSIC):
            self._renew(name)

    def pcm(self, name: str) -> bytes:
        """The PCM of a prompt's first version."""
        return self._versions[name][0][1]

    def scripts(self, name: str, times: int) -> list[Script]:
        """A script for each version of a prompt that may be heard, repeated `times` times."""
        return [Script(b"", pcm, times, label=f"{name} {number}") for number, pcm in self._versions.get(name, [])]

    def size(self, name: str) -> float:
        """The duration of a prompt's first version in seconds."""
        versions = self._versions.get(name)
        return len(versions[0][1]) / SAMPLE_BYTES / SAMPLE_RATE if versions else 1.0

    async def change(self, over: asyncio.Event, every: float) -> None:
        """Change a random prompt about every `every` seconds until `over` is set."""
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
        """Write a new version of a prompt. The version may be heard from now on."""
        number = self._versions[name][-1][0] + 1 if name in self._versions else int(name in PASSING)
        seconds = self._rng.uniform(0.5, 1.5) if name in MENU else self._rng.uniform(0.3, 1) * self._longest
        pcm = noise(self._rng, int(seconds * 50), self._rng.randrange(FRAME_SAMPLES))
        first, later = self._versions.get(name, [])[:1], self._versions.get(name, [])[1:]
        self._versions[name] = [*first, *later[1 - _KEPT :], (number, pcm)]
        self._write(name, _wav(pcm))

    def _write(self, name: str, content: bytes) -> None:
        """Write a file atomically, as deployments do: under a hidden name first, which is then renamed."""
        file = self._file(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        hidden = file.with_name(f".{file.name}")
        hidden.write_bytes(content)
        hidden.replace(file)

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.wav"


class Music:
    """Hold music: all calls share one timeline, which a call joins at any frame of a track."""

    def __init__(self, prompts: Prompts) -> None:
        self._pieces = [prompts.pcm(name) for name in MUSIC]
        self._pcm = b"".join(self._pieces)
        self._places: dict[str, dict[bytes, int]] = {}

    def scripts(self, first: bytes, encoding: Encoding) -> list[Script]:
        """The music from the place of its frame `first` on; no script if the music has no such frame."""
        places = self._places.setdefault(encoding.name, {})
        if not places:
            places.update(self._index(encoding))
        return [Script(b"", self._pcm, None, places[first])] if first in places else []

    def _index(self, encoding: Encoding) -> Iterator[tuple[bytes, int]]:
        """Every frame that may be a call's first one, with the frame's offset in bytes of the PCM."""
        sound = coded(self._pcm, encoding)
        sound, width, begin = sound + sound, encoding.sample_bytes * FRAME_SAMPLES, 0
        for piece in self._pieces:
            end = begin + len(piece) // SAMPLE_BYTES * encoding.sample_bytes
            for at in range(begin, end, width):
                yield sound[at : at + width], at * SAMPLE_BYTES // encoding.sample_bytes
            begin = end


async def passed(over: asyncio.Event, seconds: float) -> bool:
    """Wait `seconds`, or until `over` is set; return whether `over` is set."""
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
