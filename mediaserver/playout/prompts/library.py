"""The prompt library: decodes a folder's sound files, and again those that change, and keeps them in memory."""

import asyncio
import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from mediaserver.errors import PromptError
from mediaserver.playout.decoding.pool import DecodePool
from mediaserver.playout.prompts.change_detector import ChangeDetector
from mediaserver.playout.prompts.encoded_frames import FrameEncoder, SoundFile
from mediaserver.playout.prompts.prompt_store import ENCODINGS, Prompt, PromptStore
from mediaserver.playout.prompts.scan import FileSnapshot, FolderScan, scan_folder
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.wire.encapsulation import PCM, Encoding

Progress = Callable[[int, int], None]  # a function called with the numbers of files loaded and of all files

# Seconds within which decoded prompts are collected, to be put into one new snapshot: each snapshot costs a copy.
_PUBLISH_INTERVAL = 0.1


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """What a refresh of the prompt library changed.

    A prompt stays as it was if the changed file cannot be played.
    """

    added: list[str] = field(default_factory=list)  # names of the new prompts
    replaced: list[str] = field(default_factory=list)  # names of the prompts whose files have changed
    removed: list[str] = field(default_factory=list)  # names of the prompts that are gone
    failed: dict[str, str] = field(default_factory=dict)  # reasons why files cannot be played, by their paths
    # Paths of folders that can be read again; "." is the whole prompt folder.
    readable_again: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        """Whether the refresh changed or reported anything."""
        return bool(self.added or self.replaced or self.removed or self.failed or self.readable_again)


class PromptLibrary:
    """All prompts of one folder, as they were at the last refresh."""

    def __init__(self, directory: Path, memory_limit: int, pool: DecodePool) -> None:
        self.directory = directory
        self.store = PromptStore(memory_limit, pool)
        self.snapshot = PromptSnapshot()
        self.ignored: list[str] = []
        self.skipped: dict[str, str] = {}  # reasons why the last scan left out subfolders, by their paths
        self.folder: tuple[int, int] | None = None  # the folder's device and inode at the last scan
        self.folder_problem = ""  # why the folder could not be read at the last scan
        self._changes = ChangeDetector()
        self._refreshing = asyncio.Lock()  # held while the folder is scanned, and what has changed is loaded
        self.pool = pool

    async def load(
        self, encodings: Sequence[Encoding] = (PCM,), progress: Progress = lambda done, total: None
    ) -> None:
        """Load all files of the folder when the server starts, in the encodings that callers will need first."""
        changes = await self._scan_for_changes(settle=0)
        await self._load_changes(changes if self.folder is not None else {}, encodings, progress)
        await self.pool.release_decoders()

    async def refresh(self, encodings: Sequence[Encoding] = (PCM,), settle: float = 1.0) -> ReloadResult | None:
        """Scan the folder, load the files whose last change is `settle` seconds old, and return what changed.

        Returns None if nothing has changed. Streams continue with the prompts that they play. If a changed file
        cannot be played, or a folder cannot be read, its prompts stay as they were. A refresh waits until
        another one ends.
        """
        async with self._refreshing:
            result = await self._load_changes(await self._scan_for_changes(settle), encodings)
            if result:
                await self.pool.release_decoders()
            return result or None

    async def change(
        self, names: Collection[str], work: Callable[[FolderScan], None], encodings: Sequence[Encoding] = (PCM,)
    ) -> ReloadResult:
        """Have `work` change the files of some prompts, and load these prompts at once; return what changed.

        `work` is called in a thread with a scan of the folder. Neither a refresh nor another change happens
        meanwhile. An error of `work` is raised again, after the changes that it had made by then were loaded.
        Decoder processes stay for some seconds, as one change often follows another. Calls in progress keep the
        prompts as they were: those that were evicted from memory are decoded before `work` is called.
        """

        async def load() -> ReloadResult:
            return await self._load_changes(await self._scan_for_changes(0, names), encodings)

        async with self._refreshing:
            prompts = [self.prompts[name] for name in names if name in self.prompts]
            secured = [await self.store.secure(prompt) for prompt in prompts]
            try:
                await asyncio.to_thread(lambda: work(scan_folder(self.directory)))
            except Exception:
                await load()
                raise
            result = await load()
            del secured  # the frames had to stay in memory until `load` had moved them to the old prompts
            return result

    async def close(self) -> None:
        """End the decoder processes."""
        await self.pool.release_decoders()

    @property
    def has_unsettled_changes(self) -> bool:
        """Whether files have changed so recently that only a further refresh will load them."""
        return self._changes.has_unsettled

    @property
    def prompts(self) -> Mapping[str, Prompt]:
        """The prompts that can be played now, by name."""
        return self.snapshot.by_name

    @property
    def problems(self) -> dict[str, str]:
        """The reasons why files cannot be played, by the files' paths in the folder."""
        return {file: why for problems in self.snapshot.problems.values() for file, why in problems.items()}

    def warnings(self, names: Iterable[str]) -> list[str]:
        """The warnings about the files of these prompts, each a sentence that begins with the file's path."""
        prompts = [self.prompts[name] for name in sorted(names) if name in self.prompts]
        return [f"{prompt.path} {warning}" for prompt in prompts for warning in prompt.info.warnings]

    def passed_over(self, names: Iterable[str]) -> dict[str, str]:
        """Files that are not played, by path, each with the path of the file of the same name that is played."""
        prompts = [self.prompts[name] for name in sorted(names) if name in self.prompts]
        better = {file: prompt.path for prompt in prompts for file in prompt.passed_over}
        return {file: path.relative_to(self.directory).as_posix() for file, path in better.items()}

    async def decode(self, path: Path, longest: int = 0) -> SoundFile:
        """Decode a sound file that is no prompt, such as a recording; PromptError if the file cannot be played.

        The file may be as long as a prompt may be, but no longer than `longest` seconds; 0 means no such limit.
        The decoded sound is not cached on disk, so that no copy is left when a recording is deleted.
        """
        try:
            _, encoder = await self.pool.decode(path, lambda: FrameEncoder((PCM,)), store=False, longest=longest)
        except PromptError as error:
            raise PromptError(f"{path} {error}") from error
        return SoundFile(encoder.encoded[PCM.name])

    async def _scan_for_changes(
        self, settle: float, names: Collection[str] | None = None
    ) -> dict[str, FileSnapshot]:
        """Scan the folder in a thread; return the settled changes, which are to be loaded, by prompt name.

        If `names` is given, only changes of these prompts are returned.
        """
        now = asyncio.get_running_loop().time()

        def scan() -> tuple[FolderScan, dict[str, FileSnapshot]]:
            found = scan_folder(self.directory)
            return found, self._changes.settled_changes(found, now, settle, names)

        found, changes = await asyncio.to_thread(scan)
        self.ignored, self.skipped, self.folder = found.ignored, found.skipped, found.folder
        self.snapshot = replace(self.snapshot, undecodable=found.undecodable)
        self.folder_problem = found.problem
        return changes

    async def _load_changes(
        self,
        changes: dict[str, FileSnapshot],
        encodings: Sequence[Encoding],
        progress: Progress = lambda done, total: None,
    ) -> ReloadResult:
        """Load the changed files concurrently, and add each prompt to the snapshot soon after it is decoded."""
        result, update = ReloadResult(), _SnapshotUpdate(self)
        done, total = 0, sum(file.path is not None for file in changes.values())
        progress(done, total)
        if not changes:
            return result

        async def load(name: str, file: FileSnapshot) -> None:
            nonlocal done
            await self._load_file(name, file, encodings, result, update)
            self._changes.mark_loaded(name, file)
            if file.path is not None:
                done += 1
                progress(done, total)

        try:
            async with asyncio.TaskGroup() as group:
                for name, file in changes.items():
                    group.create_task(load(name, file))
        finally:
            update.publish()
        for names in (result.added, result.replaced, result.removed):
            names.sort()
        return result

    async def _load_file(
        self,
        name: str,
        file: FileSnapshot,
        encodings: Sequence[Encoding],
        result: ReloadResult,
        update: "_SnapshotUpdate",
    ) -> None:
        old, problems = self.prompts.get(name), dict(file.problems)
        wanted = {encoding.name: encoding for encoding in encodings}
        if old is not None:  # the old prompt keeps its frames; the new file is encoded in the same encodings
            kept = self.store.detach(old)
            wanted |= {name: encoding for name, encoding in ENCODINGS.items() if name in kept}
        if file.path is not None:
            prompt = await self._decode_best(name, file, wanted.values(), problems)
            if prompt is not None:
                update.prompts[name] = prompt
                (result.added if old is None else result.replaced).append(name)
        elif old is not None and not problems:
            update.prompts[name] = None
            result.removed.append(name)
        elif not problems and (not name or name.endswith("/")):
            result.readable_again.append(name.rstrip("/") or os.curdir)
        update.problems[name] = problems
        result.failed.update(problems)
        update.publish_if_due()

    async def _decode_best(
        self, name: str, file: FileSnapshot, encodings: Iterable[Encoding], problems: dict[str, str]
    ) -> Prompt | None:
        """Decode the best playable file of a prompt name; add to `problems` why better files cannot be played."""
        path, passed_over = file.path, list(file.passed_over)
        while path is not None:
            try:
                info, encoder = await self.pool.decode(path, lambda: FrameEncoder(encodings))
            except PromptError as error:
                problems[path.relative_to(self.directory).as_posix()] = str(error)
                path = self.directory / passed_over.pop(0) if passed_over else None
            else:
                prompt = Prompt(name, path, encoder.samples, info, self.store, tuple(passed_over))
                self.store.put(prompt, encoder.encoded)
                return prompt
        return None


class _SnapshotUpdate:
    """Collects loaded prompts until they are put together into the library's next snapshot."""

    def __init__(self, library: PromptLibrary) -> None:
        self.prompts: dict[str, Prompt | None] = {}
        self.problems: dict[str, dict[str, str]] = {}
        self._library, self._clock = library, asyncio.get_running_loop().time
        self._published = self._clock()

    def publish_if_due(self) -> None:
        if self._clock() - self._published >= _PUBLISH_INTERVAL:
            self.publish()

    def publish(self) -> None:
        self._library.snapshot = self._library.snapshot.updated(self.prompts, self.problems)
        self.prompts, self.problems, self._published = {}, {}, self._clock()
