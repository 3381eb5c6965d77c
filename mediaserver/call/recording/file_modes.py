"""Permissions (modes) of the files and folders that calls leave on disk, whatever the umask. Functions block."""

import contextlib
import os
import stat
from pathlib import Path
from typing import NamedTuple


class FileModes(NamedTuple):
    """The permissions (modes) of new files, and of the folders that are made for these files."""

    file: int = 0o640
    directory: int = 0o750


DEFAULT_MODES = FileModes()


def make_folders(folder: Path, modes: FileModes) -> None:
    """Make a folder and its missing parents. Existing folders stay as they are. OSError if making one fails."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
        if folder == folder.parent:
            break
    for each in reversed(missing):
        try:
            each.mkdir(modes.directory)
        except FileExistsError:
            if not each.is_dir():  # an existing folder is no error: another stream has made it meanwhile
                raise
            continue
        with contextlib.suppress(OSError):  # some file systems have no modes
            # Where the parent has the set-group-ID bit, the folder has inherited it, and keeps it.
            each.chmod(modes.directory | each.stat().st_mode & stat.S_ISGID)


def create_file(path: Path, modes: FileModes) -> int:
    """Create a file and return its descriptor, open for writing. FileExistsError where the name is taken."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, modes.file)
    with contextlib.suppress(OSError):  # some file systems have no modes
        os.fchmod(file, modes.file)
    return file
