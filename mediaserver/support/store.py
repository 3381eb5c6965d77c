"""A store of limited size on disk, for data that is expensive to make and can be made again, such as decoded PCM.

Each entry is a file in one private folder. It is written atomically, with a checksum that is verified when the
file is read. Several processes may share a store, and any of them may die at any moment.

The usual library, `diskcache`, is not used for two reasons. It unpickles the files that it finds, so that a
program which can write to the folder could run code in our processes. And it opens an SQLite database, which takes
as long as reading some hundred entries.
"""

import contextlib
import fcntl
import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator

_DIGEST_BYTES = 32  # number of bytes of the checksum at the beginning of each entry's file
_TALLY = "tally"  # the name of the file with the number of bytes of all entries; a process that writes locks it
_UNFINISHED = "unfinished"  # the name of an entry's file while it is being written
_DIGITS = 20  # number of digits to which the number in the tally file is padded
# Attempts to lock the tally file, and seconds between two attempts: a process that holds the lock for a second is
# assumed to hang.
_TRIES, _PAUSE = 100, 0.01
_KEPT = 7 / 8  # share of the limit to which a full store is reduced, so that the next entries fit without a scan


class Store:
    """Keeps bytes by key in a folder of at most `limit` bytes, and removes the least recently used entries first.

    If the folder does not exist, the store is empty.
    """

    def __init__(self, directory: str, limit: int) -> None:
        self._directory = directory
        self._limit = limit  # the most bytes that all entries may take together
        self._tries = _TRIES  # number of attempts to lock the tally file; 1 after all attempts have failed

    def get(self, key: str) -> bytes | None:
        """The data stored for `key`; None if there is none. A damaged file counts as missing, and is removed."""
        name = _name(key)
        try:
            with self._folder() as folder, open(name, "rb", opener=_opener(folder)) as file:
                found = os.fstat(file.fileno())
                ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
                digest, data = (file.read(_DIGEST_BYTES), file.read()) if ours else (b"", b"")
                intact = digest == _digest(key, data)
                # Another process may remove the file now, or the folder may be read-only.
                with contextlib.suppress(OSError):
                    if intact:
                        os.utime(name, dir_fd=folder)  # the file's time records the entry's last use
                    else:
                        os.unlink(name, dir_fd=folder)
        except OSError:
            return None
        return data if intact else None

    def put(self, key: str, data: bytes) -> None:
        """Store data, and remove the least recently used entries beyond the limit; OSError if this fails.

        Data larger than the limit is not stored. Files are not synced to the disk, because `get` notices a file
        that a power cut has damaged.
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
        """Make the store's folder, for our user alone; OSError if that fails, or if it is another user's."""
        os.makedirs(os.path.dirname(self._directory) or os.curdir, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.mkdir(self._directory, 0o700)
        with self._folder() as folder:
            if not os.access(os.curdir, os.R_OK | os.W_OK | os.X_OK, dir_fd=folder):
                raise PermissionError("cannot be written")

    @contextlib.contextmanager
    def _folder(self) -> Iterator[int]:
        """Open the store's folder, and yield its file descriptor; OSError if it is missing or another user's.

        Other users' access to the folder is removed, because Kubernetes gives a pod's group access to volumes.
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
        """Lock the tally file, and yield its file descriptor. The lock ends with the process, however it ends."""
        tally = _opener(folder)(_TALLY, os.O_RDWR | os.O_CREAT)
        try:
            self._lock(tally)
            yield tally
        finally:
            os.close(tally)

    def _lock(self, tally: int) -> None:
        """Lock the tally file; TimeoutError if another process keeps the file locked.

        After such an error, further calls of this method try once and do not wait, until one of them succeeds.
        """
        for _ in range(self._tries):
            with contextlib.suppress(BlockingIOError):
                fcntl.flock(tally, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._tries = _TRIES
                return
            time.sleep(_PAUSE)
        self._tries = 1
        raise TimeoutError("another process has locked it and does not let go")

    def _make_room(self, size: int, total: int | None, folder: int) -> int:
        """Remove old entries if `size` more bytes would exceed the limit; return the new total in bytes.

        `total` is the number in the tally file, None if the file has no number. This number may be too high after
        an entry was replaced or found damaged; a scan of the folder corrects it. The result includes `size`.
        """
        if total is not None and total + size <= self._limit:
            return total + size
        entries = sorted(_entries(folder))
        total = sum(each for _, each, _ in entries) + size
        goal = total if total <= self._limit else max(size, int(self._limit * _KEPT))
        for _, each, name in entries:
            if total <= goal:
                break
            with contextlib.suppress(FileNotFoundError):  # another process may have just removed a damaged entry
                os.unlink(name, dir_fd=folder)
            total -= each
        return total


def _entries(folder: int) -> Iterator[tuple[int, int, str]]:
    """Yield, for each entry in a folder, the time of its last use in ns, its size in bytes, and its file name."""
    with os.scandir(folder) as files:
        for file in files:
            if file.name not in (_TALLY, _UNFINISHED):
                with contextlib.suppress(FileNotFoundError):  # another process may have just removed the entry
                    found = file.stat(follow_symlinks=False)
                    yield found.st_mtime_ns, found.st_size, file.name


def _name(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


def _opener(folder: int) -> Callable[[str, int], int]:
    """An opener for Python's `open`, for files in a folder: it follows no link, and does not block on a pipe."""
    return lambda name, flags: os.open(name, flags | os.O_NOFOLLOW | os.O_NONBLOCK, 0o600, dir_fd=folder)


def _read_tally(tally: int) -> int | None:
    """The number of bytes that a tally file holds; None if the file has no valid number."""
    text = os.pread(tally, _DIGITS, 0)
    return int(text) if len(text) == _DIGITS and text.isdigit() else None


def _write_tally(tally: int, total: int) -> None:
    os.pwrite(tally, b"%0*d" % (_DIGITS, total), 0)


def _digest(key: str, data: bytes) -> bytes:
    """The checksum of an entry. It covers the entry's key: a file under another key's name counts as damaged."""
    digest = hashlib.sha256(key.encode() + b"\0")
    digest.update(data)
    return digest.digest()
