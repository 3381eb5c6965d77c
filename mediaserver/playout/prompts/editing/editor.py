"""Changes the prompts of a library: a file is put in the place of another, renamed or removed, one at a time."""

import asyncio
import contextlib
import errno
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from mediaserver.audio.pcm import SAMPLE_RATE
from mediaserver.errors import PromptError, RefusalReason, RefusedError
from mediaserver.playout.decoding.measuring import Measurement
from mediaserver.playout.prompts.editing.history import History, Version, move
from mediaserver.playout.prompts.editing.names import (
    make_folder_of,
    place,
    refuse_link,
    remove_empty_folders,
    validate_name,
)
from mediaserver.playout.prompts.encoded_frames import FrameEncoder
from mediaserver.playout.prompts.library import PromptLibrary, ReloadResult
from mediaserver.playout.prompts.prompt_store import Prompt
from mediaserver.playout.prompts.scan import ABSENT, FolderScan
from mediaserver.wire.encapsulation import Encoding


class PlacedPrompt(NamedTuple):
    """A prompt as it is in the library now, what was measured of it, and whether its name is new there."""

    prompt: Prompt
    measured: Measurement
    is_new: bool


class _GoneError(FileNotFoundError):
    """A file that was to become a prompt is gone: a version that was pruned, or that another request restored."""

    def __init__(self) -> None:
        super().__init__(errno.ENOENT, os.strerror(errno.ENOENT))


class PromptEditor:
    """Changes the files of a library's folder, and has the library load them.

    Each change either happens as a whole or not at all, and when a method returns, new calls hear it. Calls in
    progress keep what they play. `encodings` returns the encodings in which a changed prompt is encoded at once.
    `on_change` is called with what has changed in the library.
    """

    def __init__(
        self,
        library: PromptLibrary,
        history: History,
        encodings: Callable[[], Sequence[Encoding]],
        on_change: Callable[[ReloadResult], None],
    ) -> None:
        self._library, self._history = library, history
        self._encodings, self._on_change = encodings, on_change

    async def put(self, name: str, file: Path, by: str, change: str = "replaced") -> PlacedPrompt:
        """Move a sound file to the place of a prompt's file; `by` names the requester for the history.

        The file is checked first. RefusedError if the file cannot be played, or if no prompt may have the name.
        """
        name, directory = validate_name(name), self._library.directory
        measured, is_new = await self._check(file), False

        def work(scan: FolderScan) -> None:
            nonlocal is_new
            target = place(directory, name).with_name(f"{name.rpartition('/')[2]}{file.suffix}")
            old = self._files(scan, name)
            is_new = not old
            if not file.exists():
                raise _GoneError
            make_folder_of(target)
            with self._kept(name, old, change, by):
                move(file, target)
            for each in old:
                if each != target:
                    each.unlink()
            self._history.prune(name)

        await self._change([name], work)
        return PlacedPrompt(self._library.prompts[name], measured, is_new)

    async def remove(self, name: str, by: str) -> None:
        """Remove a prompt's files; the history keeps them. RefusedError 404 if there is no such prompt."""
        name = validate_name(name)

        def work(scan: FolderScan) -> None:
            old = self._existing(scan, name)
            with self._kept(name, old, "removed", by):
                for each in old:
                    each.unlink()
            self._history.prune(name)
            remove_empty_folders(self._library.directory, name)

        await self._change([name], work)

    async def rename(self, name: str, to: str) -> Prompt:
        """Give a prompt's files, and its history, another name. RefusedError 409 if that name is taken."""
        name, to = validate_name(name), validate_name(to)

        def work(scan: FolderScan) -> None:
            old, target = self._existing(scan, name), place(self._library.directory, to)
            if self._files(scan, to):
                raise RefusedError(RefusalReason.PROMPT_CONFLICT, f'there is a prompt "{to}" already')
            targets = [target.with_name(f"{target.name}{each.suffix}") for each in old]
            for each in targets:
                make_folder_of(each)
            for each, moved in zip(old, targets, strict=True):
                move(each, moved)
            self._history.rename(name, to)
            remove_empty_folders(self._library.directory, name)

        await self._change([name, to], work)
        return self._library.prompts[to]

    async def versions(self, name: str) -> list[Version]:
        """The old versions of a prompt, the newest first. The prompt may have been removed since."""
        return await asyncio.to_thread(self._history.versions, validate_name(name))

    async def restore(self, name: str, version: str, by: str) -> PlacedPrompt:
        """Make an old version of a prompt the present one again; the history keeps the version that it replaces.

        RefusedError 404 if there is no such version.
        """
        for each in await self.versions(name):
            if each.version == version:
                with contextlib.suppress(_GoneError):
                    return await self.put(name, each.path, by, "restored")
        raise RefusedError(RefusalReason.UNKNOWN_VERSION, f'the prompt "{name}" has no version {version}')

    async def _check(self, file: Path) -> Measurement:
        """Decode and measure a file that is no prompt yet. RefusedError 422 says why it cannot be one."""
        pool = self._library.pool
        try:
            _, sound = await pool.decode(file, lambda: FrameEncoder(()))
            if not sound.samples:
                raise PromptError("is empty: it has no samples")
            return Measurement(**await pool.measure(file))
        except PromptError as error:
            if not await asyncio.to_thread(file.exists):
                raise _GoneError from error
            raise RefusedError(RefusalReason.BAD_SOUND, f"the file {error}") from error

    async def _change(self, names: Collection[str], work: Callable[[FolderScan], None]) -> None:
        result = await self._library.change(names, work, self._encodings())
        if result:
            self._on_change(result)
        for file, why in result.failed.items():
            raise RefusedError(RefusalReason.BAD_SOUND, f"{file} {why}")

    def _files(self, scan: FolderScan, name: str) -> list[Path]:
        """All files with a prompt's name, the one that is played first. RefusedError 409 if one is a link."""
        place(self._library.directory, name)
        found = scan.files.get(name, ABSENT)
        others = [self._library.directory / file for file in (*found.passed_over, *found.problems)]
        files = others if found.path is None else [found.path, *others]
        for file in files:
            refuse_link(file)
        return files

    def _existing(self, scan: FolderScan, name: str) -> list[Path]:
        if files := self._files(scan, name):
            return files
        raise RefusedError(RefusalReason.UNKNOWN_PROMPT, f'there is no prompt "{name}"')

    @contextlib.contextmanager
    def _kept(self, name: str, files: Sequence[Path], change: str, by: str) -> Iterator[None]:
        """Put a prompt's files into its history before the `with` block changes the prompt.

        The file that is played becomes the newest version. If the `with` block raises OSError, the new versions of
        files that are still in their places are removed from the history.
        """
        prompt, kept = self._library.prompts.get(name), dict[Path, Path | None]()
        try:
            for file in reversed(files):
                played = prompt is not None and prompt.path == file
                seconds = prompt.samples / SAMPLE_RATE if prompt is not None and played else None
                kept[file] = self._history.keep(file, name, seconds, change, by)
            yield
        except OSError:
            for file, version in kept.items():
                if version is not None and file.exists():
                    version.unlink(missing_ok=True)
            raise
