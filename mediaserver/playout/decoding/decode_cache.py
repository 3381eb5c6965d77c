"""A cache on disk for decoded sound files, which are looked up by the content of the file."""

import contextlib
import hashlib
import os
from collections.abc import Callable
from io import BufferedReader
from typing import NamedTuple

from mediaserver.errors import error_text
from mediaserver.support.store import Store

# Seconds that must have passed since a file's last change before its times identify its content. Two changes in
# quick succession may leave a file with the same times, because the clocks of file systems are coarse.
_SETTLED = 2.0
_SECOND = 1_000_000_000  # nanoseconds in a second


class CacheLookup(NamedTuple):
    """A decoded file, and whether it came from the cache.

    `stored` is "hit" if the file was in the cache, and "miss" if it was decoded. It is "failed" if the file was
    decoded, but could not be written to the cache; `problem` has the reason.
    """

    decoded: bytes
    stored: str
    problem: str = ""


class DecodeCache:
    """Keeps decoded files in a store on disk.

    `fingerprint` identifies the version of the decoder. Files that another version has cached are not found.
    """

    def __init__(self, store: Store, fingerprint: str) -> None:
        self._store, self._fingerprint = store, fingerprint

    def get_or_decode(self, path: str, decode: Callable[[BufferedReader], bytes], now: float) -> CacheLookup:
        """Get a decoded file from the cache; if the cache lacks it, call `decode` with the open file.

        The cache finds a file by a digest of its content. To save reading the file, the cache also remembers the
        digest by the file's state: device, inode, size, and times of change. This is safe, because no program can
        set the ctime (time of the last change of the inode). A ctime in whole seconds is not trusted, because all
        files of a disk image, and of its next version, may have one ctime. `now` is in seconds since 1970. Raises
        OSError if the file cannot be read.
        """
        before = os.stat(path)
        key_by_state = f"{self._fingerprint}; {os.fsencode(path)!r} {_state(before)}"
        settled = before.st_ctime < now - _SETTLED and before.st_ctime_ns % _SECOND != 0
        if settled and (key := self._store.get(key_by_state)) is not None:
            decoded = self._store.get(key.decode())
            if decoded is not None:
                return CacheLookup(decoded, "hit")
        extension = os.path.splitext(path)[1].lower()
        with open(path, "rb") as file:
            digest = _digest(file)
            key_by_content = f"{self._fingerprint}; {extension} {digest}"
            found = self._store.get(key_by_content)
            file.seek(0)
            decoded, stored = (decode(file), "miss") if found is None else (found, "hit")
        if not _unchanged(path, before, digest):  # do not cache a file that changed while it was decoded
            return CacheLookup(decoded, stored)
        try:
            if found is None:
                self._store.put(key_by_content, decoded)
            if settled:
                self._store.put(key_by_state, key_by_content.encode())
        except OSError as error:
            return CacheLookup(decoded, "failed", error_text(error))
        return CacheLookup(decoded, stored)


def _state(found: os.stat_result) -> tuple[int, ...]:
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def _digest(file: BufferedReader) -> str:
    return hashlib.file_digest(file, "sha256").hexdigest()


def _unchanged(path: str, before: os.stat_result, digest: str) -> bool:
    """Whether a file's state and content are the same as before it was decoded.

    The content is read again for two reasons. ffmpeg opens the file by itself, so it may have read other content.
    And a file that changes twice within one tick of the file system's clock keeps its times.
    """
    with contextlib.suppress(OSError), open(path, "rb") as file:
        return _state(os.stat(path)) == _state(before) and _digest(file) == digest
    return False
