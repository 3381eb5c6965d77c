"""What sound files became when they were decoded before, known by their content."""

import hashlib
import os
from collections.abc import Callable
from typing import NamedTuple

from mediaserver.errors import plainly
from mediaserver.store import Store

_SETTLED = 2.0  # seconds in which a second change may leave a file's times as they are: clocks are coarse


class Found(NamedTuple):
    """What a file became, and whether that was found ("hit"), made ("miss"), or made and not kept ("failed")."""

    made: bytes
    stored: str
    trouble: str = ""


class Archive:
    """A store of what is made of files. Made by another `recipe`, it is something else."""

    def __init__(self, store: Store, recipe: str) -> None:
        self._store, self._recipe = store, recipe

    def find(self, path: str, make: Callable[[bytes], bytes], now: float) -> Found:
        """What a file becomes; `make` makes it of its content. `now` in seconds since 1970. OSError of the file's.

        A file is known by its content. One that is just as it was then, down to inode and the time that nobody can
        set, has the content that it had, and is not read.
        """
        as_it_is = self._look(path)
        if (key := self._store.get(as_it_is)) is not None and (made := self._store.get(key.decode())) is not None:
            return Found(made, "hit")
        settled = os.stat(path).st_ctime < now - _SETTLED
        with open(path, "rb") as file:
            content = file.read()
        extension = os.path.splitext(path)[1].lower()
        by_content = f"{self._recipe}; {extension} {hashlib.sha256(content).hexdigest()}"
        found = self._store.get(by_content)
        made = make(content) if found is None else found
        stored = "miss" if found is None else "hit"
        try:
            if self._look(path) == as_it_is:  # or it may have been made of something else
                if found is None:
                    self._store.put(by_content, made)
                if settled:
                    self._store.put(as_it_is, by_content.encode())
        except OSError as error:
            return Found(made, "failed", plainly(error))
        return Found(made, stored)

    def _look(self, path: str) -> str:
        found = os.stat(path)
        state = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        return f"{self._recipe}; {os.fsencode(path)!r} {state}"
