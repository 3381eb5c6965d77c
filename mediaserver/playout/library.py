"""The prompts: a folder of sound files, known by name, decoded once and when they change, played from memory."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mediaserver.errors import PromptError
from mediaserver.playout.cache import ItemCache
from mediaserver.playout.catalogue import Catalogue
from mediaserver.playout.changes import Changes
from mediaserver.playout.decode import Decoded
from mediaserver.playout.inventory import Inventory, Sight, scan
from mediaserver.playout.items import Items, encode, recode, recoded
from mediaserver.playout.workers import DecodePool
from mediaserver.wire.encapsulation import L16, MESSAGE, PCM, PCMA, PCMU, Encoding

Progress = Callable[[int, int], None]  # files done, files in all

_ENCODINGS = {encoding.name: encoding for encoding in (PCM, MESSAGE, L16, PCMU, PCMA)}  # the lossless first


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a look at the folder led to: prompts by name; why files cannot be played, by their paths in the folder.

    Where a file that has `failed` was to replace a prompt, that stays as it was.
    """

    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.added or self.replaced or self.removed or self.failed)


@dataclass(eq=False, slots=True, weakref_slot=True)
class Prompt:
    """One playable file, as it was when it was decoded. `open` gives its items, at once or soon.

    They are in the library's cache until the file changes, and from then on `kept` here: for exactly as long as
    somebody plays them.
    """

    name: str
    path: Path
    samples: int
    source: str
    peak_dbfs: float
    loudness_lufs: float
    library: "PromptLibrary" = field(repr=False)
    kept: dict[str, Items] | None = field(default=None, repr=False)  # by encoding

    def open(self, encoding: Encoding) -> "Items | asyncio.Future[Items]":
        """Its items in an encoding; where they must be decoded again first, a future that all who ask share."""
        return self.library.open(self, encoding)


class PromptLibrary:
    """All prompts of one folder."""

    def __init__(self, directory: Path, memory_limit: int, pool: DecodePool) -> None:
        self.directory = directory
        self.cache = ItemCache(memory_limit)
        self.catalogue = Catalogue()
        self.ignored: list[str] = []
        self.folder: tuple[int, int] | None = None  # which one it was at the last look: device and inode
        self.decodes, self.decode_seconds = 0, 0.0  # files decoded so far, and how long that took
        self._changes = Changes()
        self._pool = pool
        self._building: dict[tuple[Prompt, str], asyncio.Future[Items]] = {}

    async def load(
        self, encodings: Sequence[Encoding] = (PCM,), progress: Progress = lambda done, total: None
    ) -> None:
        """Decode the whole folder, and make items in the encodings that paths will ask for first."""
        due = await self._look(settle=0)
        await self._take(due if self.folder is not None else {}, encodings, progress)

    async def refresh(self, encodings: Sequence[Encoding] = (PCM,), settle: float = 1.0) -> Reloaded | None:
        """Look at the folder again, and take in what was the same `settle` seconds ago; None where nothing is new.

        Streams go on with what they play. A file that cannot be played leaves its prompt as it was, and so does a
        folder that cannot be read. There must be one refresh at a time.
        """
        return await self._take(await self._look(settle), encodings) or None

    async def close(self) -> None:
        """Let the decoders go."""
        await self._pool.rest()

    @property
    def unsettled(self) -> bool:
        """Whether there are changes that a further look may take in."""
        return self._changes.waiting

    @property
    def prompts(self) -> Mapping[str, Prompt]:
        """The prompts that there are now, by name."""
        return self.catalogue.prompts

    @property
    def version(self) -> int:
        """Another one where there may be other prompts."""
        return self.catalogue.version

    @property
    def problems(self) -> dict[str, str]:
        """Why a file cannot be played, by its path in the folder."""
        return {file: why for problems in self.catalogue.problems.values() for file, why in problems.items()}

    def get(self, name: str) -> Prompt:
        """The prompt of that name, as it is now; PromptError where there is none, or where its file is broken."""
        return self.catalogue.get(name)

    async def decode(self, path: Path) -> bytes:
        """The PCM of a sound file anywhere, a recording perhaps; PromptError where it cannot be played."""
        return (await self._decode(path)).pcm

    def open(self, prompt: Prompt, encoding: Encoding) -> Items | asyncio.Future[Items]:
        """A prompt's items: ready-made, made on the fly from other ones, or after decoding again."""
        entry = self._ready_made(prompt, encoding)
        if entry is not None:
            return entry
        building = self._building.get((prompt, encoding.name))
        if building is None:
            building = self._build(prompt, encoding)
        base = self._base(prompt)
        return recoded(base, encoding) if base is not None else building

    # -- what the folder has -------------------------------------------------------------------------------------

    async def _look(self, settle: float) -> dict[str, Sight]:
        """What there is to take in, by name."""
        now = asyncio.get_running_loop().time()

        def look() -> tuple[Inventory, dict[str, Sight]]:
            inventory = scan(self.directory)
            return inventory, self._changes.settled(inventory, now, settle)

        inventory, due = await asyncio.to_thread(look)
        self.ignored, self.folder = inventory.ignored, inventory.folder
        return due

    async def _take(
        self,
        due: dict[str, Sight],
        encodings: Sequence[Encoding],
        progress: Progress = lambda done, total: None,
    ) -> Reloaded:
        """Take in what was found: each prompt as soon as it is ready, all of it at once."""
        reloaded = Reloaded()
        done, total = 0, sum(sight.path is not None for sight in due.values())
        progress(done, total)
        if not due:
            return reloaded

        async def take(name: str, sight: Sight) -> None:
            nonlocal done
            await self._take_one(name, sight, encodings, reloaded)
            self._changes.take(name, sight)
            if sight.path is not None:
                done += 1
                progress(done, total)

        async with asyncio.TaskGroup() as group:
            for name, sight in due.items():
                group.create_task(take(name, sight))
        for names in (reloaded.added, reloaded.replaced, reloaded.removed):
            names.sort()
        await self._pool.rest()
        return reloaded

    async def _take_one(self, name: str, sight: Sight, encodings: Sequence[Encoding], reloaded: Reloaded) -> None:
        old, problems, changed = self.prompts.get(name), dict(sight.problems), dict[str, Prompt | None]()
        wanted = {encoding.name: encoding for encoding in encodings}
        if old is not None:  # its file is not what it was made of: it could not be decoded again
            wanted |= {each: _ENCODINGS[each] for each in self._keep(old)}
        if sight.path is not None:
            try:
                decoded = await self._decode(sight.path)
            except PromptError as error:
                problems[sight.path.relative_to(self.directory).as_posix()] = str(error)
            else:
                prompt = self._prompt(name, sight.path, decoded)
                made = [(each, await encode(decoded.pcm, encoding)) for each, encoding in wanted.items()]
                for each, items in made:  # from here on without a wait: nobody finds it half there
                    self.cache.put((prompt, each), items)
                changed = {name: prompt}
                (reloaded.added if old is None else reloaded.replaced).append(name)
        elif old is not None and not problems:
            changed = {name: None}
            reloaded.removed.append(name)
        self.catalogue = self.catalogue.changed(changed, {name: problems})
        reloaded.failed.update(problems)

    def _keep(self, prompt: Prompt) -> dict[str, Items]:
        """What is ready-made of a prompt, from now on kept by itself: its streams play it to their ends.

        Where memory was too small for it, there is nothing left to keep, and its name may be another sound's.
        """
        if prompt.kept is None:
            found = {name: self.cache.drop((prompt, name)) for name in _ENCODINGS}
            prompt.kept = {name: items for name, items in found.items() if items is not None}
        return prompt.kept

    # -- items ---------------------------------------------------------------------------------------------------

    def _ready_made(self, prompt: Prompt, encoding: Encoding) -> Items | None:
        if prompt.kept is not None:
            return prompt.kept.get(encoding.name)
        return self.cache.get((prompt, encoding.name))

    def _base(self, prompt: Prompt) -> Items | None:
        """Its PCM, as good as it can be had without its file, where that may be another's by now."""
        if prompt.kept is None:
            return self.cache.get((prompt, PCM.name))
        for name, encoding in _ENCODINGS.items():
            if name in prompt.kept:
                return prompt.kept[name] if encoding is PCM else recoded(prompt.kept[name], PCM, encoding)
        return None

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
        base = self._base(prompt)
        if base is not None:
            entry = await recode(base, encoding)
        else:
            entry = await encode((await self._decode(prompt.path)).pcm, encoding)
        if prompt.kept is not None:  # by now, perhaps
            prompt.kept[encoding.name] = entry
        else:
            self.cache.put((prompt, encoding.name), entry)
        return entry

    async def _decode(self, path: Path) -> Decoded:
        began = time.monotonic()
        try:
            return await self._pool.decode(path)
        finally:
            self.decodes += 1
            self.decode_seconds += time.monotonic() - began

    def _prompt(self, name: str, path: Path, decoded: Decoded) -> Prompt:
        samples = len(decoded.pcm) // 2
        return Prompt(name, path, samples, decoded.source, decoded.peak_dbfs, decoded.loudness_lufs, self)
