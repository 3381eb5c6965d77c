"""Detects which files of the prompt folder have changed since they were loaded, and are not being written now."""

import os
from collections.abc import Collection, Iterator

from mediaserver.playout.prompts.scan import ABSENT, FileSnapshot, FolderScan

_CLOCK_TICK = 0.001  # seconds by which a time of the event loop may be off: some clocks have this resolution


class ChangeDetector:
    """Compares scans of the prompt folder with the files that were loaded from it.

    A change of a file has settled once two scans, `settle` seconds apart, have found the file in the same state.
    A file that is still being copied is therefore not loaded half. A file that is deleted and then written anew
    does not count as removed. Each prompt name settles independently of the others.
    """

    def __init__(self) -> None:
        self._loaded: dict[str, FileSnapshot] = {}
        # Changed files by prompt name, each with the time of the first scan that found the file in this state.
        self._unsettled: dict[str, tuple[FileSnapshot, float]] = {}
        self._folder: tuple[int, int] | None = None  # device and inode of the prompt folder at an earlier scan

    @property
    def has_unsettled(self) -> bool:
        """Whether the last scan found changes that have not settled; a further scan may find them settled."""
        return bool(self._unsettled)

    def mark_loaded(self, name: str, file: FileSnapshot) -> None:
        """Note that a file was loaded, or failed to load: until it changes again, it is not loaded again."""
        self._unsettled.pop(name, None)
        if file == ABSENT:
            self._loaded.pop(name, None)
        else:
            self._loaded[name] = file

    def settled_changes(
        self, scan: FolderScan, now: float, settle: float, names: Collection[str] | None = None
    ) -> dict[str, FileSnapshot]:
        """Settled changes of files, by prompt name; ABSENT for a removed file. `now` is the scan's time.

        If `names` is given, changes of all other prompts are left for a later scan, even if they have settled.
        """
        scan = self._unless_unmounted(scan)
        found = dict(self._changed(scan))
        self._unsettled = {name: self._with_first_seen(name, file, now) for name, file in found.items()}
        return {
            name: file
            for name, file in found.items()
            if (names is None or name in names) and self._unsettled[name][1] + settle <= now + _CLOCK_TICK
        }

    def _with_first_seen(self, name: str, file: FileSnapshot, now: float) -> tuple[FileSnapshot, float]:
        before = self._unsettled.get(name)
        return before if before is not None and before[0] == file else (file, now)

    def _changed(self, scan: FolderScan) -> Iterator[tuple[str, FileSnapshot]]:
        files, unreadable = scan.files, scan.unreadable
        for name in {**self._loaded, **files}:
            file = files.get(name, ABSENT)
            if file == ABSENT and name.startswith(unreadable):
                continue  # the file does not count as removed: its folder cannot be read now
            if file != self._loaded.get(name, ABSENT):
                yield name, file

    def _unless_unmounted(self, scan: FolderScan) -> FolderScan:
        """Return the scan; if an empty folder has taken the prompt folder's place, a scan with only this problem.

        An empty folder appears at the path when a file system is unmounted: its prompts must not count as removed.
        """
        if self._folder in (None, scan.folder) or scan.files:
            self._folder = scan.folder or self._folder
            return scan
        unmounted = FileSnapshot(
            None, {os.curdir: "was replaced by an empty folder: is its file system still mounted?"}, ()
        )
        return FolderScan({"": unmounted}, scan.ignored, scan.folder, scan.skipped)
