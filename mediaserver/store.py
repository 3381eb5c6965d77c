"""A bounded store of bytes on disk: for what is dear to make, and can be made again.

Each entry is a file of one private folder, whole or not there at all, its content checked whenever it is read.
Several processes may share a store, and any of them may die at any moment.

Why our own: `diskcache`, the library for this, unpickles what it finds, so that who can write to the folder can
run code in our processes, and it opens an SQLite database, which takes as long as reading some hundred entries.
"""

import contextlib
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterator

_DIGEST_BYTES = 32
_TALLY = "tally"  # a file that says how many bytes there are; its lock is the writer's
_UNFINISHED = "unfinished"
_DIGITS = 20  # of a tally
_KEPT = 7 / 8  # of the limit, where it is reached: so that the folder is not looked through at every entry


class Store:
    """Bytes by key, least recently used first out. A folder that is gone, or cannot be read, is an empty store."""

    def __init__(self, directory: str, limit: int) -> None:
        self._directory = directory
        self._limit = limit  # bytes of entries

    def get(self, key: str) -> bytes | None:
        """What was kept under that key; None where it is not there, or was damaged: then it is removed."""
        path = self._path(key)
        try:
            with open(path, "rb") as file:
                digest, data = file.read(_DIGEST_BYTES), file.read()
        except OSError:
            return None
        intact = digest == _digest(key, data)
        with contextlib.suppress(OSError):  # another process may be at it, or the file system may be read-only
            if intact:
                os.utime(path)  # the order of use
            else:
                os.unlink(path)
        return data if intact else None

    def put(self, key: str, data: bytes) -> None:
        """Keep it, and remove what was least recently used beyond the limit; OSError where it cannot be kept.

        What is larger than the limit is not kept. Nothing is synced: what a power cut spoils, `get` finds out.
        """
        size = _DIGEST_BYTES + len(data)
        if size > self._limit:
            return
        self.open()
        unfinished = os.path.join(self._directory, _UNFINISHED)
        with self._locked() as tally:
            _tell(tally, self._with_room_for(size, _told(tally)))
            try:
                with open(unfinished, "wb") as file:
                    file.write(_digest(key, data))
                    file.write(data)
                os.replace(unfinished, self._path(key))
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(unfinished)
                raise

    def open(self) -> None:
        """Make the folder, for nobody but us; OSError where that cannot be, or where it is another's."""
        os.makedirs(os.path.dirname(self._directory) or os.curdir, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._directory, 0o700)
        found = os.lstat(self._directory)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise PermissionError("is not a folder of our own that nobody else may use (mode 0700)")
        if not os.access(self._directory, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError("cannot be written")

    def _path(self, key: str) -> str:
        return os.path.join(self._directory, hashlib.sha256(key.encode()).hexdigest())

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        """The tally, open, while nobody else writes. The lock goes with the process, however that ends."""
        tally = os.open(os.path.join(self._directory, _TALLY), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(tally, fcntl.LOCK_EX)
            yield tally
        finally:
            os.close(tally)

    def _with_room_for(self, size: int, total: int | None) -> int:
        """Bytes in all, with so many more; old entries give way where that is over the limit.

        The tally may be too high, where an entry was replaced or damaged; looking through the folder mends it.
        """
        if total is not None and total + size <= self._limit:
            return total + size
        entries = sorted(self._entries())
        total = sum(each for _, each, _ in entries) + size
        goal = total if total <= self._limit else max(size, int(self._limit * _KEPT))
        for _, each, path in entries:
            if total <= goal:
                break
            os.unlink(path)
            total -= each
        return total

    def _entries(self) -> Iterator[tuple[int, int, str]]:
        """When each was used last, its bytes, its file."""
        with os.scandir(self._directory) as files:
            for file in files:
                if file.name not in (_TALLY, _UNFINISHED):
                    with contextlib.suppress(FileNotFoundError):  # damaged, and found out just now
                        found = file.stat(follow_symlinks=False)
                        yield found.st_mtime_ns, found.st_size, file.path


def _told(tally: int) -> int | None:
    """What a tally says, if anything."""
    text = os.pread(tally, _DIGITS, 0)
    return int(text) if len(text) == _DIGITS and text.isdigit() else None


def _tell(tally: int, total: int) -> None:
    os.pwrite(tally, b"%0*d" % (_DIGITS, total), 0)


def _digest(key: str, data: bytes) -> bytes:
    """Of both, so that a file under another's name is damaged too."""
    digest = hashlib.sha256(key.encode() + b"\0")
    digest.update(data)
    return digest.digest()
