"""Scans the prompt folder, and lists its sound files by prompt name, with one `stat` call for each file."""

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

# A file's size in bytes, time of the last change in ns, inode, mode, owner and group. The file is loaded again if
# any of them changes: the first three tell of new content, the others that the file may have become readable.
Signature = tuple[int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class FileSnapshot:
    """The files that one scan finds under one prompt name. Equal snapshots mean that no content has changed."""

    path: Path | None  # the file to be played as the prompt; None if no file can be played
    problems: dict[str, str]  # reasons why other files of this name cannot be prompts, by their paths
    # Signatures of all files of this name; None for a file for which `stat` fails.
    signatures: tuple[Signature | None, ...]
    passed_over: tuple[str, ...] = ()  # paths of other files with this prompt name, the preferred ones first


_WAV_HEAD = 512  # bytes at the beginning of a WAV file that are read to find its format
_MOST_FOLDERS = 10_000  # the most folders that a scan visits: symbolic links may multiply folders without end


class _LinkError(OSError):
    """A folder is not scanned, because symbolic links lead to it too often or in a circle."""


ABSENT = FileSnapshot(None, {}, ())  # the snapshot of a prompt name for which there is no file


@dataclass(frozen=True, slots=True)
class FolderScan:
    """What one scan finds in the prompt folder and its subfolders.

    A folder that cannot be read is itself listed in `files`, because its sound files are not known. Its key is the
    folder's name with a slash at the end, or "" for the whole prompt folder.
    """

    files: dict[str, FileSnapshot]  # the files found, by prompt name
    ignored: list[str]  # paths of files whose extensions are not those of sound files
    folder: tuple[int, int] | None  # device and inode of the prompt folder; None if there is no folder
    skipped: dict[str, str] = field(default_factory=dict)  # why some subfolders were not scanned, by their paths

    @property
    def undecodable(self) -> dict[str, str]:
        """Paths of sound files in formats that cannot be decoded, by the prompt names that they would have."""
        return {_prompt_name(file): file for file in self.ignored if _extension(file) in UNDECODABLE}

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The keys of folders that cannot be read: prompts whose names begin with one of these are not known."""
        return tuple(name for name in self.files if not name or name.endswith("/"))

    @property
    def problem(self) -> str:
        """Why the whole prompt folder cannot be read; "" if it can be read."""
        if self.folder is None:
            return "is not a folder"
        return "; ".join(self.files[""].problems.values()) if "" in self.files else ""


def scan_folder(directory: Path) -> FolderScan:
    """Scan a folder and its subfolders. It blocks, so it must run in a thread.

    Symbolic links are followed. Files whose names begin with a dot are left out.
    """
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
    """Device and inode of the folder at a path; None if there is no folder.

    They change when another folder is renamed to this path, or when a symbolic link is switched.
    """
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
    """A key to sort files with one prompt name by: the file to be played comes first, broken links come last."""
    file, signature = candidate
    extension = _extension(file)
    head = _wav_head(str(directory / file), signature) if extension in WAVE and signature is not None else b""
    return signature is None, preference(extension, head), file


@lru_cache(maxsize=1 << 14)  # cached: a later scan need not open an unchanged file again
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
    """Yield each file's path in the folder, and its `stat` result; None if `stat` fails, as for a broken link.

    The files of a folder that a symbolic link leads to are yielded under both paths. A folder that cannot be read
    is yielded with the error in place of the `stat` result. So are links to a folder above them, which would be
    followed for ever, and the first folder beyond `_MOST_FOLDERS`, at which the scan ends. Folders nearest to the
    top are scanned first.
    """
    # Folders to scan, each with the real paths of the folders above it.
    waiting: deque[tuple[str, tuple[str, ...]]] = deque([("", ())])
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
        except (OSError, ValueError) as error:  # ValueError: the path has a character that file paths cannot have
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
