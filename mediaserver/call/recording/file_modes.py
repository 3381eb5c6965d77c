"""Who may read what a stream leaves on disk: the modes of files and folders, whatever the umask is. Blocking."""

import contextlib
import os
import stat
from pathlib import Path
from typing import NamedTuple


class Modes(NamedTuple):
    """Those of files and of folders that are made for them."""

    file: int = 0o640
    directory: int = 0o750


USUAL_MODES = Modes()


def make_folders(folder: Path, modes: Modes) -> None:
    """Make a folder, and those above it that are missing; one that is there stays as it is. OSError where not."""
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
            if not each.is_dir():  # or another stream was faster
                raise
            continue
        with contextlib.suppress(OSError):  # a file system without modes has its own
            # A folder has its group and that bit from the one above it, where that has the bit.
            each.chmod(modes.directory | each.stat().st_mode & stat.S_ISGID)


def create(path: Path, modes: Modes) -> int:
    """Make a file, and open it to be written; FileExistsError where there is one, a link too."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, modes.file)
    with contextlib.suppress(OSError):  # as above
        os.fchmod(file, modes.file)
    return file
