"""The prompts: a folder of sound files, known by name, decoded at start, played from memory."""

import asyncio
import fnmatch
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mediaserver.errors import PromptError, did_you_mean, plainly
from mediaserver.playout.cache import ItemCache
from mediaserver.playout.decode import EXTENSIONS, Decoded
from mediaserver.playout.items import Items, encode, recode, recoded
from mediaserver.playout.workers import DecodePool
from mediaserver.wire.encapsulation import PCM, Encoding

Progress = Callable[[int, int], None]  # files done, files in all


@dataclass(frozen=True, slots=True)
class Inventory:
    """What a folder holds: one file a name, what cannot be a prompt and why, and files that are no sound."""

    files: dict[str, Path]
    problems: dict[str, str]  # by the file's path in the folder
    ignored: list[str]


def scan(directory: Path) -> Inventory:
    """Look through a folder and all below it. Names are paths without extension; dot files are passed over."""
    if not is_folder(directory):
        return Inventory({}, {}, [])
    found: dict[str, list[Path]] = {}
    problems: dict[str, str] = {}
    ignored: list[str] = []
    for path in _walk(directory, problems):
        relative = path.relative_to(directory)
        if path.suffix.lower() not in EXTENSIONS:
            ignored.append(relative.as_posix())
            continue
        if path.exists() and not path.is_file():
            problems[relative.as_posix()] = "is not a regular file"
            continue
        found.setdefault(_name(relative), []).append(path)
    for name, paths in found.items():
        if len(paths) > 1:
            files = [path.relative_to(directory).as_posix() for path in paths]
            for file in files:
                others = " and ".join(other for other in files if other != file)
                problems[file] = f'has the same name, "{name}", as {others}'
    single = {name: paths[0] for name, paths in sorted(found.items()) if len(paths) == 1}
    return Inventory(single, problems, sorted(ignored))


def is_folder(path: Path) -> bool:
    """Whether it is a folder that can be looked at, whatever else it may be."""
    return os.path.isdir(path)  # noqa: PTH112 - Path.is_dir raises for a name that is too long


def _name(file: Path) -> str:
    """The prompt's name of a file in the folder."""
    return unicodedata.normalize("NFC", file.as_posix().removesuffix(file.suffix))


def _walk(directory: Path, problems: dict[str, str]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        problems[Path(error.filename).relative_to(directory).as_posix()] = f"cannot be read: {plainly(error)}"

    seen: set[str] = set()
    for folder, folders, files in os.walk(directory, onerror=unreadable, followlinks=True):
        real = os.path.realpath(folder)
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if real not in seen else []
        if real not in seen:  # a link back up would go round for ever
            seen.add(real)
            yield from (Path(folder, file) for file in sorted(files) if not file.startswith("."))


@dataclass(eq=False, slots=True)
class Prompt:
    """One playable file. `open` gives its items, at once or soon."""

    name: str
    path: Path
    samples: int
    source: str
    peak_dbfs: float
    loudness_lufs: float
    library: "PromptLibrary" = field(repr=False)

    def open(self, encoding: Encoding) -> "Items | asyncio.Future[Items]":
        """Its items in an encoding; where they must be decoded again first, a future that all who ask share."""
        return self.library.open(self, encoding)


class PromptLibrary:
    """All prompts of one folder.

    `problems` holds why a file cannot be played, by its path in the folder.
    """

    def __init__(self, directory: Path, memory_limit: int, pool: DecodePool) -> None:
        self.directory = directory
        self.cache = ItemCache(memory_limit)
        self.prompts: dict[str, Prompt] = {}
        self.problems: dict[str, str] = {}
        self.ignored: list[str] = []
        self.decodes, self.decode_seconds = 0, 0.0
        self.version = 0  # another one where there may be other prompts
        self._broken: dict[str, str] = {}  # a broken prompt's name -> its file
        self._pool = pool
        self._building: dict[tuple[Prompt, str], asyncio.Future[Items]] = {}

    async def load(
        self, encodings: Sequence[Encoding] = (PCM,), progress: Progress = lambda done, total: None
    ) -> None:
        """Decode the whole folder, and make items in the encodings that paths will ask for first."""
        inventory = await asyncio.to_thread(scan, self.directory)
        self.problems, self.ignored = dict(inventory.problems), inventory.ignored
        self._broken = {_name(Path(file)): file for file in inventory.problems}
        done, total = 0, len(inventory.files)
        progress(done, total)

        async def decode(name: str, path: Path) -> None:
            nonlocal done
            try:
                prompt, decoded = await self._decode(name, path)
            except PromptError as error:
                file = path.relative_to(self.directory).as_posix()
                self.problems[file] = str(error)
                self._broken[name] = file
            else:
                self.prompts[name] = prompt
                for encoding in encodings:
                    self.cache.put((prompt, encoding.name), await encode(decoded.pcm, encoding))
            done += 1
            progress(done, total)

        await asyncio.gather(*(decode(name, path) for name, path in inventory.files.items()))
        self.prompts = dict(sorted(self.prompts.items()))
        self.version += 1
        await self._pool.rest()

    async def close(self) -> None:
        """Let the decoders go."""
        await self._pool.rest()

    def get(self, name: str) -> Prompt:
        """The prompt of that name; PromptError where there is none, or where its file is broken."""
        prompt = self.prompts.get(unicodedata.normalize("NFC", name))
        if prompt is not None:
            return prompt
        if name in self._broken:
            file = self._broken[name]
            raise PromptError(f'prompt "{name}" cannot be played: {file} {self.problems[file]}')
        raise PromptError(f'no prompt "{name}"{did_you_mean(name, self.prompts)}')

    def match(self, patterns: Iterable[str]) -> list[Prompt]:
        """Prompts by names and globs, in the order given, a glob's by name; PromptError where one has none."""
        matched: list[Prompt] = []
        for pattern in patterns:
            if pattern not in self.prompts and any(sign in pattern for sign in "*?["):
                names = fnmatch.filter(self.prompts, pattern)
                if not names:
                    raise PromptError(f'no prompt matches "{pattern}"')
            else:
                names = [pattern]
            matched += map(self.get, names)
        return matched

    async def decode(self, path: Path) -> bytes:
        """The PCM of a sound file anywhere, a recording perhaps; PromptError where it cannot be played."""
        return (await self._pool.decode(path)).pcm

    def open(self, prompt: Prompt, encoding: Encoding) -> Items | asyncio.Future[Items]:
        """A prompt's items: from the cache, made on the fly from cached PCM, or after decoding again."""
        entry = self.cache.get((prompt, encoding.name))
        if entry is not None:
            return entry
        building = self._building.get((prompt, encoding.name))
        if building is None:
            building = self._build(prompt, encoding)
        base = self.cache.get((prompt, PCM.name))
        return recoded(base, encoding) if base is not None else building

    def _build(self, prompt: Prompt, encoding: Encoding) -> asyncio.Future[Items]:
        key = (prompt, encoding.name)
        task = asyncio.get_running_loop().create_task(self._make(prompt, encoding))
        self._building[key] = task

        def finished(task: asyncio.Future[Items]) -> None:
            del self._building[key]
            if not task.cancelled():
                task.exception()  # whoever waits for it is told; nobody else need be

        task.add_done_callback(finished)
        return task

    async def _make(self, prompt: Prompt, encoding: Encoding) -> Items:
        base = self.cache.get((prompt, PCM.name))
        if base is not None:
            entry = await recode(base, encoding)
        else:
            _, decoded = await self._decode(prompt.name, prompt.path)
            entry = await encode(decoded.pcm, encoding)
        self.cache.put((prompt, encoding.name), entry)
        return entry

    async def _decode(self, name: str, path: Path) -> tuple[Prompt, Decoded]:
        decoded = await self._pool.decode(path)
        samples = len(decoded.pcm) // 2
        return Prompt(name, path, samples, decoded.source, decoded.peak_dbfs, decoded.loudness_lufs, self), decoded
