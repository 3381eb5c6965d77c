"""The old versions of prompts, which are kept in a hidden folder of the prompt folder.

`.history/music%2Fhold/20261129T153012.123456Z,3.120,replaced,front-desk.wav` is the version of `music/hold`, of
3.12 s, that was replaced at this time (UTC) with the token `front-desk`. The file's name has all that is known of
the version, so that a crash can leave no version without its facts.
"""

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import structlog

from mediaserver.errors import error_text
from mediaserver.playout.decoding.formats import EXTENSIONS
from mediaserver.playout.prompts.editing.names import escape
from mediaserver.support.timestamps import iso_timestamp

log = structlog.get_logger()

FOLDER = ".history"
_STAMP = "%Y%m%dT%H%M%S.%fZ"
_FILE = re.compile(r"(\d{8}T\d{6}\.\d{6}Z),([0-9.]*),([a-z]+),([\w-]+)(\.[a-z0-9-]+)", re.ASCII)
_UNNAMED = "unknown"  # stands for the requester's name if the requester has no name


class Version(NamedTuple):
    """An old version of a prompt: until when callers heard it, and which change ended it."""

    path: Path
    version: str  # the version's id: the time `until`, as it is written in the file's name
    until: datetime
    seconds: float | None  # duration of the sound; None for a file that callers did not hear
    change: str  # the change that ended the version: "replaced", "removed" or "restored"
    by: str  # the name of the token with which the prompt was changed
    size: int  # size of the file in bytes

    def describe(self) -> dict[str, Any]:
        """The description of the version in an answer of the API."""
        return {
            "version": self.version,
            "until": iso_timestamp(self.until),
            "change": self.change,
            "by": self.by,
            "duration_s": self.seconds,
            "bytes": self.size,
            "type": self.path.suffix.removeprefix("."),
        }


class History:
    """The old versions of all prompts of a folder: the newest `limit` of each prompt. All methods block."""

    def __init__(
        self, directory: Path, limit: int, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._directory, self.limit, self._now = directory / FOLDER, limit, now

    def versions(self, name: str) -> list[Version]:
        """The old versions of a prompt, the newest first."""
        found = []
        with contextlib.suppress(FileNotFoundError):
            for path in self._folder(name).iterdir():
                match = _FILE.fullmatch(path.name)
                if not match or match[5] not in EXTENSIONS:
                    continue
                until = datetime.strptime(match[1], _STAMP).replace(tzinfo=UTC)
                seconds = float(match[2]) if match[2] else None
                with contextlib.suppress(FileNotFoundError):  # another thread may remove the version now
                    found.append(Version(path, match[1], until, seconds, match[3], match[4], path.stat().st_size))
        return sorted(found, key=lambda version: version.version, reverse=True)

    def keep(self, file: Path, name: str, seconds: float | None, change: str, by: str) -> Path | None:
        """Keep a file as the newest old version of a prompt, before the file is replaced or removed.

        The file stays where it is, too. Returns the version's path, to be removed again if the change fails; None
        if the limit is 0, so that nothing is kept.
        """
        if not self.limit:
            return None
        newest = next(iter(self.versions(name)), None)
        until = self._now()
        if newest is not None:  # each version gets a later time, even if the clock was set back
            until = max(until, newest.until + timedelta(microseconds=1))
        length = "" if seconds is None else f"{seconds:.3f}"
        facts = f"{until.strftime(_STAMP)},{length},{change},{by or _UNNAMED}"
        folder = self._folder(name)
        folder.mkdir(parents=True, exist_ok=True)
        kept = folder / f"{facts}{file.suffix.lower()}"
        _link(file, kept)
        return kept

    def prune(self, name: str) -> None:
        """Remove the oldest versions of a prompt beyond the limit.

        An error of the file system is logged and not raised, because the prompt has been changed by then.
        """
        try:
            for version in self.versions(name)[self.limit :]:
                version.path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("old prompt versions not removed", prompt=name, error=error_text(error))
        with contextlib.suppress(OSError):  # `rmdir` fails if the folder still has versions, or was never made
            self._folder(name).rmdir()

    def rename(self, name: str, to: str) -> None:
        """Move the old versions of a renamed prompt to the folder of its new name."""
        versions, folder = self.versions(name), self._folder(to)
        if versions:
            folder.mkdir(parents=True, exist_ok=True)
        for version in versions:
            version.path.rename(folder / version.path.name)
        self.prune(name)
        self.prune(to)

    def _folder(self, name: str) -> Path:
        """The folder of a prompt's versions."""
        return self._directory / escape(name)


def move(file: Path, target: Path) -> None:
    """Move a file to a path in one step, replacing any file there, even from another file system."""
    try:
        file.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        _copy(file, target)
        with contextlib.suppress(OSError):  # the target is complete even if the old file cannot be removed
            file.unlink()


def _link(file: Path, target: Path) -> None:
    """Make a hard link to a file at the path `target`; if no link can be made, copy the file there."""
    try:
        os.link(file, target)
    except OSError:
        _copy(file, target)


def _copy(file: Path, target: Path) -> None:
    unfinished = target.with_name(f".{target.name}.part")  # scans of the folder ignore hidden files
    try:
        shutil.copy2(file, unfinished)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
