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
import time
from collections.abc import Callable, Iterator

_DIGEST_BYTES = 32
_TALLY = "tally"  # a file that says how many bytes there are; its lock is the writer's
_UNFINISHED = "unfinished"
_DIGITS = 20  # of a tally
_TRIES, _PAUSE = 100, 0.01  # for the lock: who holds it for a second, that is for many entries, hangs
_KEPT = 7 / 8  # of the limit, where it is reached: so that the folder is not looked through at every entry


class Store:
    """Bytes by key, least recently used first out. A folder that is gone, or cannot be read, is an empty store."""

    def __init__(self, directory: str, limit: int) -> None:
        self._directory = directory
        self._limit = limit  # bytes of entries
        self._tries = _TRIES

    def get(self, key: str) -> bytes | None:
        """What was kept under that key; None where it is not there, or was damaged: then it is removed."""
        name = _name(key)
        try:
            with self._folder() as folder, open(name, "rb", opener=_within(folder)) as file:
                found = os.fstat(file.fileno())
                ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
                digest, data = (file.read(_DIGEST_BYTES), file.read()) if ours else (b"", b"")
                intact = digest == _digest(key, data)
                with contextlib.suppress(OSError):  # another process may be at it, or it may be read-only
                    if intact:
                        os.utime(name, dir_fd=folder)  # the order of use
                    else:
                        os.unlink(name, dir_fd=folder)
        except OSError:
            return None
        return data if intact else None

    def put(self, key: str, data: bytes) -> None:
        """Keep it, and remove what was least recently used beyond the limit; OSError where it cannot be kept.

        What is larger than the limit is not kept. Nothing is synced: what a power cut spoils, `get` finds out.
        """
        size = _DIGEST_BYTES + len(data)
        if size > self._limit:
            return
        if not os.path.isdir(self._directory):
            self.open()
        with self._folder() as folder, self._locked(folder) as tally:
            _tell(tally, self._with_room_for(size, _told(tally), folder))
            try:
                with open(_UNFINISHED, "wb", opener=_within(folder)) as file:
                    file.write(_digest(key, data))
                    file.write(data)
                os.replace(_UNFINISHED, _name(key), src_dir_fd=folder, dst_dir_fd=folder)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(_UNFINISHED, dir_fd=folder)
                raise

    def open(self) -> None:
        """Make the folder, for nobody but us; OSError where that cannot be, or where it is another's."""
        os.makedirs(os.path.dirname(self._directory) or os.curdir, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._directory, 0o700)
        with self._folder() as folder:
            if not os.access(os.curdir, os.R_OK | os.W_OK | os.X_OK, dir_fd=folder):
                raise PermissionError("cannot be written")

    @contextlib.contextmanager
    def _folder(self) -> Iterator[int]:
        """The folder, open; OSError where it is not there, or where it is another's.

        One of ours that others may use is ours alone from now on: Kubernetes opens volumes to a pod's group.
        """
        folder = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            found = os.fstat(folder)
            if found.st_uid != os.geteuid():
                raise PermissionError("is another user's")
            if found.st_mode & 0o077:
                os.fchmod(folder, 0o700)
            yield folder
        finally:
            os.close(folder)

    @contextlib.contextmanager
    def _locked(self, folder: int) -> Iterator[int]:
        """The tally, open, while nobody else writes. The lock goes with the process, however that ends."""
        tally = _within(folder)(_TALLY, os.O_RDWR | os.O_CREAT)
        try:
            self._lock(tally)
            yield tally
        finally:
            os.close(tally)

    def _lock(self, tally: int) -> None:
        """TimeoutError where another has it for too long; from then on, it is not waited for."""
        for _ in range(self._tries):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(tally, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._tries = _TRIES
                return
            time.sleep(_PAUSE)
        self._tries = 1
        raise TimeoutError("another process has locked it and does not let go")

    def _with_room_for(self, size: int, total: int | None, folder: int) -> int:
        """Bytes in all, with so many more; old entries give way where that is over the limit.

        The tally may be too high, where an entry was replaced or damaged; looking through the folder mends it.
        """
        if total is not None and total + size <= self._limit:
            return total + size
        entries = sorted(_entries(folder))
        total = sum(each for _, each, _ in entries) + size
        goal = total if total <= self._limit else max(size, int(self._limit * _KEPT))
        for _, each, name in entries:
            if total <= goal:
                break
            with contextlib.suppress(FileNotFoundError):  # damaged, and found out just now
                os.unlink(name, dir_fd=folder)
            total -= each
        return total


def _entries(folder: int) -> Iterator[tuple[int, int, str]]:
    """When each was used last, its bytes, its name."""
    with os.scandir(folder) as files:
        for file in files:
            if file.name not in (_TALLY, _UNFINISHED):
                with contextlib.suppress(FileNotFoundError):  # as above
                    found = file.stat(follow_symlinks=False)
                    yield found.st_mtime_ns, found.st_size, file.name


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _within(folder: int) -> Callable[[str, int], int]:
    """How `open` opens what is in a folder: no link out of it, and no waiting for a pipe's other end."""
    return lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600, dir_fd=folder)


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
