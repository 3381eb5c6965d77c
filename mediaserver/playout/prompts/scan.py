"""What a folder of sound files holds, by prompt names: one look, at the price of one `stat` a file."""

import os
import stat
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mediaserver.errors import plainly
from mediaserver.playout.decoding.formats import EXTENSIONS

# Bytes, time of the last change in ns, inode; and who may read it, so that one not readable is tried again.
Signature = tuple[int, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class Sight:
    """All that one look finds under one name. Two that are equal hold the same."""

    path: Path | None  # what can be a prompt; None where nothing can
    problems: dict[str, str]  # why others cannot, by their paths in the folder
    signatures: tuple[Signature | None, ...]  # of all its files; None of one that cannot be looked at


ABSENT = Sight(None, {}, ())


@dataclass(frozen=True, slots=True)
class Inventory:
    """A folder and all below it.

    A folder that cannot be read has a sight of its own, by its name and a slash ("" is the whole): what is below
    it is not known.
    """

    sights: dict[str, Sight]  # by name
    ignored: list[str]  # files that are no sound
    folder: tuple[int, int] | None  # which one it is, as device and inode; None where there is none

    @property
    def hidden(self) -> tuple[str, ...]:
        """What the names begin with that cannot be seen now."""
        return tuple(name for name in self.sights if not name or name.endswith("/"))

    @property
    def trouble(self) -> str:
        """Why nothing of it can be seen, "" where it can."""
        if self.folder is None:
            return "is not a folder"
        return "; ".join(self.sights[""].problems.values()) if "" in self.sights else ""


def scan(directory: Path) -> Inventory:
    """Look through a folder and all below it, links followed. Dot files are passed over. It may take its time."""
    sights: dict[str, Sight] = {}
    candidates: dict[str, list[tuple[str, Signature | None]]] = {}
    problems: dict[str, dict[str, str]] = {}
    ignored: list[str] = []
    for file, found in _walk(directory):
        if isinstance(found, Exception):
            sights[_folder_name(file)] = Sight(None, {file or ".": f"cannot be read: {plainly(found)}"}, ())
        elif os.path.splitext(file)[1].lower() not in EXTENSIONS:  # noqa: PTH122
            ignored.append(file)
        elif found is not None and not stat.S_ISREG(found.st_mode):
            problems.setdefault(_name(file), {})[file] = "is not a regular file"
        else:
            candidates.setdefault(_name(file), []).append((file, _signature(found)))
    for name in sorted(candidates.keys() | problems.keys()):
        sights[name] = _sight(directory, name, candidates.get(name, []), problems.get(name, {}))
    return Inventory(sights, sorted(ignored), folder_at(directory))


def folder_at(directory: Path) -> tuple[int, int] | None:
    """Which folder is at a path now, as device and inode: after a rename, or a link switched, it is another."""
    try:
        found = directory.stat()
    except (OSError, ValueError):
        return None
    return (found.st_dev, found.st_ino) if stat.S_ISDIR(found.st_mode) else None


def _sight(
    directory: Path, name: str, candidates: list[tuple[str, Signature | None]], problems: dict[str, str]
) -> Sight:
    files = [file for file, _ in candidates]
    if len(files) > 1:
        for file in files:
            others = " and ".join(other for other in files if other != file)
            problems[file] = f'has the same name, "{name}", as {others}'
    path = directory / files[0] if len(files) == 1 else None
    return Sight(path, problems, tuple(signature for _, signature in candidates))


def _name(file: str) -> str:
    """The prompt's name of a file in the folder."""
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
    """Files by their paths in the folder, with what the system says of each; None of one that it cannot find.

    A folder that cannot be read comes with the error.
    """
    seen = set() if seen is None else seen
    place = os.path.join(directory, folder)  # noqa: PTH118 - here and below: each file's share must be small
    try:
        real = os.path.realpath(place)
        with os.scandir(place) as entries:
            listed = sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
    except (OSError, ValueError) as error:  # no path at all, by its characters
        yield folder, error
        return
    if real in seen:  # a link back up would go round for ever
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
