"""Detects what changed in the prompt folder since it was loaded, once the change has settled."""

import os
from collections.abc import Iterator

from mediaserver.playout.prompts.scan import ABSENT, FileSnapshot, FolderScan

_CLOCK_TICK = 0.001  # seconds by which times may be off, because some clocks count no finer


class ChangeDetector:
    """Compares scans of a folder with the files that were loaded from it.

    A file's change counts once two scans, `settle` seconds apart, have found the file in the same state. So a file
    that is still being copied is not loaded half, and a file that is deleted to be written anew does not count as
    removed. Each prompt name settles by itself.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, FileSnapshot] = {}
        # Changed files by prompt name, each with the time of the first scan that found the file as it is now.
        self._unsettled: dict[str, tuple[FileSnapshot, float]] = {}
        self._folder: tuple[int, int] | None = None

    @property
    def has_unsettled(self) -> bool:
        """Whether there are changes that a further scan may find settled."""
        return bool(self._unsettled)

    def mark_loaded(self, name: str, file: FileSnapshot) -> None:
        """Note that this state of a file was loaded, or failed to load, and so is not a change any more."""
        self._unsettled.pop(name, None)
        if file == ABSENT:
            self._loaded.pop(name, None)
        else:
            self._loaded[name] = file

    def settled_changes(self, scan: FolderScan, now: float, settle: float) -> dict[str, FileSnapshot]:
        """The changes, by prompt name, that have settled by the time `now` of `scan`; ABSENT if a file is gone."""
        scan = self._unless_unmounted(scan)
        found = dict(self._changed(scan))
        self._unsettled = {name: self._with_first_seen(name, file, now) for name, file in found.items()}
        return {
            name: file for name, file in found.items() if self._unsettled[name][1] + settle <= now + _CLOCK_TICK
        }

    def _with_first_seen(self, name: str, file: FileSnapshot, now: float) -> tuple[FileSnapshot, float]:
        before = self._unsettled.get(name)
        return before if before is not None and before[0] == file else (file, now)

    def _changed(self, scan: FolderScan) -> Iterator[tuple[str, FileSnapshot]]:
        files, unreadable = scan.files, scan.unreadable
        for name in {**self._loaded, **files}:
            file = files.get(name, ABSENT)
            if file == ABSENT and name.startswith(unreadable):
                continue  # the file may exist in a folder that cannot be read
            if file != self._loaded.get(name, ABSENT):
                yield name, file

    def _unless_unmounted(self, scan: FolderScan) -> FolderScan:
        """The scan, or only a problem if another, empty folder is there, as when a mount point lost its mount."""
        if self._folder in (None, scan.folder) or scan.files:
            self._folder = scan.folder or self._folder
            return scan
        unmounted = FileSnapshot(None, {os.curdir: "is another folder than it was, and empty"}, ())
        return FolderScan({"": unmounted}, scan.ignored, scan.folder, scan.skipped)
