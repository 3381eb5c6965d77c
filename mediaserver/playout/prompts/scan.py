"""Scans a folder of sound files, and lists what it holds by prompt names; each file costs one `stat`."""

import os
import stat
import unicodedata
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

from mediaserver.errors import error_text
from mediaserver.playout.decoding.formats import EXTENSIONS, UNDECODABLE, WAVE, preference

# Another size, time of the last change (ns) or inode means other content. Mode, owner and group tell who may read
# the file: when they change, a file that could not be read is tried again.
Signature = tuple[int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class FileSnapshot:
    """All that one scan finds under one prompt name. Two snapshots that are equal stand for the same content."""

    path: Path | None  # the file that can be a prompt; None where none can
    problems: dict[str, str]  # why other files cannot be prompts, by their paths in the folder
    signatures: tuple[Signature | None, ...]  # of all files of the name; None for a file whose `stat` fails
    passed_over: tuple[str, ...] = ()  # other files of the name, by their paths, the better ones first


_WAV_HEAD = 512  # bytes that hold a WAV file's format
_MOST_FOLDERS = 10_000  # links may multiply folders without end


class _LinkError(OSError):
    """A folder is not walked, because of the links that lead to it."""


ABSENT = FileSnapshot(None, {}, ())


@dataclass(frozen=True, slots=True)
class FolderScan:
    """What one scan finds in a folder and all below it.

    A folder that cannot be read is itself among the `files`, under its name and a slash ("" is the whole
    folder), because the files below it are not known.
    """

    files: dict[str, FileSnapshot]  # by prompt name
    ignored: list[str]  # paths of files whose extensions are not those of sound files
    folder: tuple[int, int] | None  # the folder's identity, as device and inode; None where there is no folder
    skipped: dict[str, str] = field(default_factory=dict)  # why folders below it were not walked, by their paths

    @property
    def undecodable(self) -> dict[str, str]:
        """Ignored files that are sound of a kind that cannot be decoded, by the names that they would have."""
        return {_prompt_name(file): file for file in self.ignored if _extension(file) in UNDECODABLE}

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The names of folders that cannot be read: prompts whose names begin with one of them are not known."""
        return tuple(name for name in self.files if not name or name.endswith("/"))

    @property
    def problem(self) -> str:
        """Why the whole folder cannot be read, "" where it can."""
        if self.folder is None:
            return "is not a folder"
        return "; ".join(self.files[""].problems.values()) if "" in self.files else ""


def scan_folder(directory: Path) -> FolderScan:
    """Scan a folder and all below it; links are followed, dot files passed over. It blocks: run it in a thread."""
    files: dict[str, FileSnapshot] = {}
    candidates: dict[str, list[tuple[str, Signature | None]]] = {}
    problems: dict[str, dict[str, str]] = {}
    ignored: list[str] = []
    skipped: dict[str, str] = {}
    for file, found in _walk(directory):
        if isinstance(found, _LinkError):
            skipped[file] = str(found)
        elif isinstance(found, Exception):
            files[_folder_name(file)] = FileSnapshot(
                None, {file or ".": f"cannot be read: {error_text(found)}"}, ()
            )
        elif _extension(file) not in EXTENSIONS:
            ignored.append(file)
        elif found is not None and not stat.S_ISREG(found.st_mode):
            problems.setdefault(_prompt_name(file), {})[file] = "is not a regular file"
        else:
            candidates.setdefault(_prompt_name(file), []).append((file, _signature(found)))
    for name in sorted(candidates.keys() | problems.keys()):
        files[name] = _file_snapshot(directory, name, candidates.get(name, []), problems.get(name, {}))
    return FolderScan(files, sorted(ignored), folder_identity(directory), skipped)


def folder_identity(directory: Path) -> tuple[int, int] | None:
    """Device and inode of the folder at a path; they change when the folder is renamed, or a link is switched."""
    try:
        found = directory.stat()
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None


def _file_snapshot(
    directory: Path, name: str, candidates: list[tuple[str, Signature | None]], problems: dict[str, str]
) -> FileSnapshot:
    signatures = tuple(signature for _, signature in candidates)
    if not candidates:
        return FileSnapshot(None, problems, signatures)
    if len(candidates) > 1:
        candidates = sorted(candidates, key=partial(_preference, directory))
    best, *others = (file for file, _ in candidates)
    return FileSnapshot(directory / best, problems, signatures, tuple(others))


def _preference(directory: Path, candidate: tuple[str, Signature | None]) -> tuple[object, ...]:
    """A key to sort files of one name by, the best first; broken links come last."""
    file, signature = candidate
    extension = _extension(file)
    head = _wav_head(str(directory / file), signature) if extension in WAVE and signature is not None else b""
    return signature is None, preference(extension, head), file


@lru_cache(maxsize=1 << 14)  # so that a scan opens no file that it opened before
def _wav_head(path: str, signature: Signature) -> bytes:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return file.read(_WAV_HEAD)
    except OSError:
        return b""


def _extension(file: str) -> str:
    return os.path.splitext(file)[1].lower()  # noqa: PTH122


def _prompt_name(file: str) -> str:
    """The prompt name of a file in the folder: its path without the extension."""
    return unicodedata.normalize("NFC", os.path.splitext(file)[0])  # noqa: PTH122


def _folder_name(folder: str) -> str:
    return unicodedata.normalize("NFC", f"{folder}/") if folder else ""


def _signature(found: os.stat_result | None) -> Signature | None:
    if found is None:
        return None
    return (found.st_size, found.st_mtime_ns, found.st_ino, found.st_mode, found.st_uid, found.st_gid)


def _walk(directory: Path) -> Iterator[tuple[str, os.stat_result | Exception | None]]:
    """Yield each file's path in the folder, and its `stat`, or None where that fails, as for a broken link.

    A folder that is reached in two ways, by its name and by a link, has both names. A folder that cannot be read
    comes with the error in place of a `stat`. So does a link to a folder above it, which would be walked for ever,
    and each folder beyond `_MOST_FOLDERS`; those nearest to the top are walked first.
    """
    waiting: deque[tuple[str, tuple[str, ...]]] = deque([("", ())])  # folders, with the real paths of those above
    walked = 0
    while waiting:
        folder, above = waiting.popleft()
        place = os.path.join(directory, folder)  # noqa: PTH118 - pathlib would cost too much per file
        try:
            real = os.path.realpath(place)
            if walked == _MOST_FOLDERS:
                raise _LinkError(f"is passed over: with all links there are more than {_MOST_FOLDERS} folders")
            if real in above:
                raise _LinkError("is a link to a folder above it, and passed over")
            with os.scandir(place) as entries:
                listed = sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
        except (OSError, ValueError) as error:  # ValueError: no path can have such characters
            yield folder, error
            if walked == _MOST_FOLDERS:
                return
            continue
        walked += 1
        for entry in listed:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if _is_folder(entry):
                waiting.append((path, (*above, real)))
            else:
                yield path, _stat(entry)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False


def _stat(entry: os.DirEntry[str]) -> os.stat_result | None:
    try:
        return entry.stat()
    except OSError:
        return None
