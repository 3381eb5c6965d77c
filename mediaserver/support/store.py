"""A bounded store of bytes on disk, for data that is expensive to make and can be made again.

Each entry is a file in one private folder, written atomically, with a checksum that is verified when it is read.
Several processes may share a store, and any of them may die at any moment.

The library for this, `diskcache`, is not used: it unpickles what it finds, so that a program that can write to the
folder could run code in our processes, and it opens an SQLite database, which takes as long as reading some
hundred entries.
"""

import contextlib
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator

_DIGEST_BYTES = 32
_TALLY = "tally"  # a file with the number of bytes of all entries; a writer holds its lock
_UNFINISHED = "unfinished"
_DIGITS = 20  # digits to which the number in the tally file is padded
_TRIES, _PAUSE = (
    100,
    0.01,
)  # attempts to lock, and seconds between them: a process that holds the lock for a second is taken to hang
_KEPT = 7 / 8  # share of the limit that is kept when it is exceeded; the room spares the next entries a scan


class Store:
    """Bytes by key; the least recently used are removed first. A missing folder is an empty store."""

    def __init__(self, directory: str, limit: int) -> None:
        self._directory = directory
        self._limit = limit  # bytes of entries
        self._tries = _TRIES

    def get(self, key: str) -> bytes | None:
        """The data of a key; None where there is none, or where its file is damaged, which is then removed."""
        name = _name(key)
        try:
            with self._folder() as folder, open(name, "rb", opener=_opener(folder)) as file:
                found = os.fstat(file.fileno())
                ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
                digest, data = (file.read(_DIGEST_BYTES), file.read()) if ours else (b"", b"")
                intact = digest == _digest(key, data)
                with contextlib.suppress(
                    OSError
                ):  # another process may remove the file now, or the folder may be read-only
                    if intact:
                        os.utime(name, dir_fd=folder)  # entries are removed in the order of their last use
                    else:
                        os.unlink(name, dir_fd=folder)
        except OSError:
            return None
        return data if intact else None

    def put(self, key: str, data: bytes) -> None:
        """Store data, and remove the least recently used entries beyond the limit; OSError where that fails.

        Data larger than the limit is not stored. Nothing is synced: `get` notices what a power cut damages.
        """
        size = _DIGEST_BYTES + len(data)
        if size > self._limit:
            return
        if not os.path.isdir(self._directory):
            self.open()
        with self._folder() as folder, self._locked(folder) as tally:
            _write_tally(tally, self._make_room(size, _read_tally(tally), folder))
            try:
                with open(_UNFINISHED, "wb", opener=_opener(folder)) as file:
                    file.write(_digest(key, data))
                    file.write(data)
                os.replace(_UNFINISHED, _name(key), src_dir_fd=folder, dst_dir_fd=folder)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(_UNFINISHED, dir_fd=folder)
                raise

    def open(self) -> None:
        """Make the folder, for our user alone; OSError where that fails, or where it is another user's."""
        os.makedirs(os.path.dirname(self._directory) or os.curdir, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._directory, 0o700)
        with self._folder() as folder:
            if not os.access(os.curdir, os.R_OK | os.W_OK | os.X_OK, dir_fd=folder):
                raise PermissionError("cannot be written")

    @contextlib.contextmanager
    def _folder(self) -> Iterator[int]:
        """The folder's file descriptor; OSError where it does not exist, or where it is another user's.

        Access of other users is removed from a folder of ours: Kubernetes opens volumes to a pod's group.
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
        """The tally's file descriptor, locked. The lock ends with the process, however that ends."""
        tally = _opener(folder)(_TALLY, os.O_RDWR | os.O_CREAT)
        try:
            self._lock(tally)
            yield tally
        finally:
            os.close(tally)

    def _lock(self, tally: int) -> None:
        """Lock the tally. TimeoutError if another process holds the lock for too long; later calls try once."""
        for _ in range(self._tries):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(tally, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._tries = _TRIES
                return
            time.sleep(_PAUSE)
        self._tries = 1
        raise TimeoutError("another process has locked it and does not let go")

    def _make_room(self, size: int, total: int | None, folder: int) -> int:
        """Remove old entries where `size` more bytes exceed the limit; return the bytes of all, `size` included.

        The tally may be too high, where an entry was replaced or damaged; a scan of the folder corrects it.
        """
        if total is not None and total + size <= self._limit:
            return total + size
        entries = sorted(_entries(folder))
        total = sum(each for _, each, _ in entries) + size
        goal = total if total <= self._limit else max(size, int(self._limit * _KEPT))
        for _, each, name in entries:
            if total <= goal:
                break
            with contextlib.suppress(FileNotFoundError):  # `get` has just removed it as damaged
                os.unlink(name, dir_fd=folder)
            total -= each
        return total


def _entries(folder: int) -> Iterator[tuple[int, int, str]]:
    """Yield, for each entry, the time of its last use in ns, its bytes, and its name."""
    with os.scandir(folder) as files:
        for file in files:
            if file.name not in (_TALLY, _UNFINISHED):
                with contextlib.suppress(FileNotFoundError):  # `get` has just removed the entry
                    found = file.stat(follow_symlinks=False)
                    yield found.st_mtime_ns, found.st_size, file.name


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _opener(folder: int) -> Callable[[str, int], int]:
    """An opener for `open` of files in a folder: it follows no link, and waits for no pipe's other end."""
    return lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600, dir_fd=folder)


def _read_tally(tally: int) -> int | None:
    """The number in a tally; None where it has none."""
    text = os.pread(tally, _DIGITS, 0)
    return int(text) if len(text) == _DIGITS and text.isdigit() else None


def _write_tally(tally: int, total: int) -> None:
    os.pwrite(tally, b"%0*d" % (_DIGITS, total), 0)


def _digest(key: str, data: bytes) -> bytes:
    """The checksum of key and data, so that a file under another key's name counts as damaged."""
    digest = hashlib.sha256(key.encode() + b"\0")
    digest.update(data)
    return digest.digest()
