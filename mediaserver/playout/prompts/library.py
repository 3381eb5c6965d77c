"""The prompts: a folder of sound files, known by name, decoded once and when they change, played from memory."""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mediaserver.errors import PromptError
from mediaserver.playout.decoding.pool import DecodePool
from mediaserver.playout.prompts.changes import Changes
from mediaserver.playout.prompts.encoded_frames import Making, SoundFile
from mediaserver.playout.prompts.prompt_store import ENCODINGS, Prompt, Stock
from mediaserver.playout.prompts.scan import Inventory, Sight, scan
from mediaserver.playout.prompts.snapshot import Catalogue
from mediaserver.wire.encapsulation import PCM, Encoding

Progress = Callable[[int, int], None]  # files done, files in all

_AT_ONCE = (
    0.1  # seconds: prompts that are ready within so long become known together, for that copies the catalogue
)


@dataclass(frozen=True, slots=True)
class Reloaded:
    """What a look at the folder led to: prompts by name; why files cannot be played, by their paths in the folder.

    Where a file that has `failed` was to replace a prompt, that stays as it was.
    """

    added: list[str] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    back: list[str] = field(default_factory=list)  # folders that could not be read before; "." is the whole

    def __bool__(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.added or self.replaced or self.removed or self.failed or self.back)


class PromptLibrary:
    """All prompts of one folder."""

    def __init__(self, directory: Path, memory_limit: int, pool: DecodePool) -> None:
        self.directory = directory
        self.stock = Stock(memory_limit, pool)
        self.catalogue = Catalogue()
        self.ignored: list[str] = []
        self.folder: tuple[int, int] | None = None  # which one it was at the last look: device and inode
        self.trouble = ""  # why it could not be read at the last look
        self._changes = Changes()
        self.pool = pool

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
        await self.pool.rest()

    @property
    def unsettled(self) -> bool:
        """Whether there are changes that a further look may take in."""
        return self._changes.waiting

    @property
    def prompts(self) -> Mapping[str, Prompt]:
        """The prompts that there are now, by name."""
        return self.catalogue.prompts

    @property
    def problems(self) -> dict[str, str]:
        """Why a file cannot be played, by its path in the folder."""
        return {file: why for problems in self.catalogue.problems.values() for file, why in problems.items()}

    async def decode(self, path: Path) -> SoundFile:
        """A sound file anywhere, a recording perhaps; PromptError names it where it cannot be played.

        No copy of it is left on disk: who deletes a recording means it.
        """
        try:
            _, making = await self.pool.decode(path, lambda: Making((PCM,)), store=False)
        except PromptError as error:
            raise PromptError(f"{path} {error}") from error
        return SoundFile(making.items[PCM.name])

    async def _look(self, settle: float) -> dict[str, Sight]:
        """What there is to take in, by name."""
        now = asyncio.get_running_loop().time()

        def look() -> tuple[Inventory, dict[str, Sight]]:
            inventory = scan(self.directory)
            return inventory, self._changes.settled(inventory, now, settle)

        inventory, due = await asyncio.to_thread(look)
        self.ignored, self.folder = inventory.ignored, inventory.folder
        self.trouble = inventory.trouble
        return due

    async def _take(
        self,
        due: dict[str, Sight],
        encodings: Sequence[Encoding],
        progress: Progress = lambda done, total: None,
    ) -> Reloaded:
        """Take in what was found: each prompt soon after it is ready, all of it at once."""
        reloaded, news = Reloaded(), _News(self)
        done, total = 0, sum(sight.path is not None for sight in due.values())
        progress(done, total)
        if not due:
            return reloaded

        async def take(name: str, sight: Sight) -> None:
            nonlocal done
            await self._take_one(name, sight, encodings, reloaded, news)
            self._changes.take(name, sight)
            if sight.path is not None:
                done += 1
                progress(done, total)

        try:
            async with asyncio.TaskGroup() as group:
                for name, sight in due.items():
                    group.create_task(take(name, sight))
        finally:
            news.tell()
        for names in (reloaded.added, reloaded.replaced, reloaded.removed):
            names.sort()
        await self.pool.rest()
        return reloaded

    async def _take_one(
        self, name: str, sight: Sight, encodings: Sequence[Encoding], reloaded: Reloaded, news: "_News"
    ) -> None:
        old, problems = self.prompts.get(name), dict(sight.problems)
        wanted = {encoding.name: encoding for encoding in encodings}
        if old is not None:  # its file is not what it was made of: it could not be decoded again
            wanted |= {each: ENCODINGS[each] for each in self.stock.leave(old)}
        if sight.path is not None:
            try:
                about, making = await self.pool.decode(sight.path, lambda: Making(wanted.values()))
            except PromptError as error:
                problems[sight.path.relative_to(self.directory).as_posix()] = str(error)
            else:
                prompt = Prompt(name, sight.path, making.samples, about, self.stock)
                self.stock.put(prompt, making.items)
                news.prompts[name] = prompt
                (reloaded.added if old is None else reloaded.replaced).append(name)
        elif old is not None and not problems:
            news.prompts[name] = None
            reloaded.removed.append(name)
        elif not problems and (not name or name.endswith("/")):
            reloaded.back.append(name.rstrip("/") or os.curdir)
        news.problems[name] = problems
        reloaded.failed.update(problems)
        news.tell_now_and_then()


class _News:
    """What a library's catalogue does not know yet."""

    def __init__(self, library: PromptLibrary) -> None:
        self.prompts: dict[str, Prompt | None] = {}
        self.problems: dict[str, dict[str, str]] = {}
        self._library, self._clock = library, asyncio.get_running_loop().time
        self._told = self._clock()

    def tell_now_and_then(self) -> None:
        if self._clock() - self._told >= _AT_ONCE:
            self.tell()

    def tell(self) -> None:
        self._library.catalogue = self._library.catalogue.changed(self.prompts, self.problems)
        self.prompts, self.problems, self._told = {}, {}, self._clock()
