"""Scans a folder of sound files, and lists what it holds by prompt names; each file costs one `stat`."""

import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mediaserver.errors import error_text
from mediaserver.playout.decoding.formats import EXTENSIONS

# Another size, time of the last change (ns) or inode means other content. Mode, owner and group tell who may read
# the file: when they change, a file that could not be read is tried again.
Signature = tuple[int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class FileSnapshot:
    """All that one scan finds under one prompt name. Two snapshots that are equal stand for the same content."""

    path: Path | None  # the file that can be a prompt; None where none can
    problems: dict[str, str]  # why other files cannot be prompts, by their paths in the folder
    signatures: tuple[Signature | None, ...]  # of all files of the name; None for a file whose `stat` fails


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
    for file, found in _walk(directory):
        if isinstance(found, Exception):
            files[_folder_name(file)] = FileSnapshot(
                None, {file or ".": f"cannot be read: {error_text(found)}"}, ()
            )
        elif os.path.splitext(file)[1].lower() not in EXTENSIONS:  # noqa: PTH122
            ignored.append(file)
        elif found is not None and not stat.S_ISREG(found.st_mode):
            problems.setdefault(_prompt_name(file), {})[file] = "is not a regular file"
        else:
            candidates.setdefault(_prompt_name(file), []).append((file, _signature(found)))
    for name in sorted(candidates.keys() | problems.keys()):
        files[name] = _file_snapshot(directory, name, candidates.get(name, []), problems.get(name, {}))
    return FolderScan(files, sorted(ignored), folder_identity(directory))


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
    files = [file for file, _ in candidates]
    if len(files) > 1:
        for file in files:
            others = " and ".join(other for other in files if other != file)
            problems[file] = f'has the same name, "{name}", as {others}'
    path = directory / files[0] if len(files) == 1 else None
    return FileSnapshot(path, problems, tuple(signature for _, signature in candidates))


def _prompt_name(file: str) -> str:
    """The prompt name of a file in the folder: its path without the extension."""
    return unicodedata.normalize("NFC", os.path.splitext(file)[0])  # noqa: PTH122


def _folder_name(folder: str) -> str:
    return unicodedata.normalize("NFC", f"{folder}/") if folder else ""


def _signature(found: os.stat_result | None) -> Signature | None:
    if found is None:
        return None
    return (found.st_size, found.st_mtime_ns, found.st_ino, found.st_mode, found.st_uid, found.st_gid)


def _walk(
    directory: Path, folder: str = "", seen: set[str] | None = None
) -> Iterator[tuple[str, os.stat_result | Exception | None]]:
    """Yield each file's path in the folder, and its `stat`, or None where that fails, as for a broken link.

    A folder that cannot be read comes with the error in place of a `stat`.
    """
    seen = set() if seen is None else seen
    place = os.path.join(directory, folder)  # noqa: PTH118 - here and below: pathlib would cost too much per file
    try:
        real = os.path.realpath(place)
        with os.scandir(place) as entries:
            listed = sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
    except (OSError, ValueError) as error:  # ValueError: no path can have such characters
        yield folder, error
        return
    if real in seen:  # a link to a folder above would be walked for ever
        return
    seen.add(real)
    folders = []
    for entry in listed:
        path = f"{folder}/{entry.name}" if folder else entry.name
        if _is_folder(entry):
            folders.append(path)
        else:
            yield path, _stat(entry)
    for path in folders:
        yield from _walk(directory, path, seen)


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
