"""What sound files became when they were decoded before, known by their content."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from io import BufferedReader
from typing import NamedTuple

from mediaserver.errors import error_text
from mediaserver.support.store import Store

_SETTLED = 2.0  # seconds in which a second change may leave a file's times as they are: clocks are coarse
_SECOND = 1_000_000_000  # ns


class Found(NamedTuple):
    """What a file became, and whether that was found ("hit"), made ("miss"), or made and not kept ("failed")."""

    made: bytes
    stored: str
    trouble: str = ""


class Archive:
    """A store of what is made of files. Made by another `recipe`, it is something else."""

    def __init__(self, store: Store, recipe: str) -> None:
        self._store, self._recipe = store, recipe

    def find(self, path: str, make: Callable[[BufferedReader], bytes], now: float) -> Found:
        """What a file becomes; `make` makes it of the open file. `now` in seconds since 1970. OSError of the file.

        A file is known by its content. It is only not read again where it is just as it was then, down to inode
        and the time of its last change, which nobody can set, and where that is told in less than whole seconds:
        in an image of a disk, all files may have one time, and the same in the next image.
        """
        seen = os.stat(path)
        as_it_is = f"{self._recipe}; {os.fsencode(path)!r} {_state(seen)}"
        settled = seen.st_ctime < now - _SETTLED and seen.st_ctime_ns % _SECOND != 0
        if settled and (key := self._store.get(as_it_is)) is not None:
            made = self._store.get(key.decode())
            if made is not None:
                return Found(made, "hit")
        extension = os.path.splitext(path)[1].lower()
        with open(path, "rb") as file:
            content = _digest(file)
            by_content = f"{self._recipe}; {extension} {content}"
            found = self._store.get(by_content)
            file.seek(0)
            made, stored = (make(file), "miss") if found is None else (found, "hit")
        if not _unchanged(path, seen, content):  # or it may have been made of something else
            return Found(made, stored)
        try:
            if found is None:
                self._store.put(by_content, made)
            if settled:
                self._store.put(as_it_is, by_content.encode())
        except OSError as error:
            return Found(made, "failed", error_text(error))
        return Found(made, stored)


def _state(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _digest(file: BufferedReader) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()


def _unchanged(path: str, seen: os.stat_result, content: str) -> bool:
    """Whether a file is what it was. ffmpeg reads it once more, and of two changes in one tick no time tells."""
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return _state(os.stat(path)) == _state(seen) and _digest(file) == content
    return False
