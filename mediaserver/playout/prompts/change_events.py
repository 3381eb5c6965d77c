"""The system's notices of what changes in a folder, where its file system has any."""

import asyncio
import contextlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

import structlog
import watchfiles
from watchfiles import Change

from mediaserver.errors import plainly

_MOUNTS = Path("/proc/self/mountinfo")
# What these hold may change on another machine, or behind the kernel's back: nobody is told of it here.
_SILENT = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "vboxsf", "vmhgfs", "prl_fs", "afs", "ceph"),
    *("glusterfs", "lustre", "beegfs", "gpfs", "ocfs2", "gfs2", "fuse"),
}
_STEP_MS = 500  # between two looks of the thread that waits for notices; it ends as soon when told to

log = structlog.get_logger()


class Notices:
    """Notices of one folder at a time. `changed` is set at each, however many files it is about.

    `how`: "auto" has none where the file system does not tell of all changes, "poll" has none at all.
    """

    def __init__(self, directory: Path, how: Literal["auto", "events", "poll"]) -> None:
        self.changed = asyncio.Event()
        self._directory, self._how = directory, how
        self._loop = asyncio.get_running_loop()
        self._folder: tuple[int, int] | None = None
        self._stop = threading.Event()
        self._thread: ThreadPoolExecutor | None = None
        self._listening: asyncio.Future[None] | None = None

    @property
    def live(self) -> bool:
        """Whether there will be notices."""
        return self._listening is not None and not self._listening.done()

    async def follow(self, folder: tuple[int, int] | None) -> None:
        """Have notices of this folder, which is the one at the path now; None: of none. It need not succeed."""
        if folder == self._folder:
            return
        await self.close()
        self._folder = folder
        if folder is None or self._how == "poll":
            return
        if self._how == "events" or await asyncio.to_thread(has_notices, folder):
            self._stop = threading.Event()
            self._thread = ThreadPoolExecutor(1, "prompt-notices")  # the loop's own has few, and others wait
            self._listening = self._loop.run_in_executor(self._thread, self._listen, self._stop)

    async def wait(self, seconds: float) -> None:
        """Wait for a notice, so long at most."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.changed.wait(), seconds)
        self.changed.clear()

    async def close(self) -> None:
        """Have no more notices. Nothing is left behind."""
        self._stop.set()
        if self._listening is not None and self._thread is not None:
            await asyncio.wait([self._listening])
            self._thread.shutdown()
        self._listening = None

    def _listen(self, stop: threading.Event) -> None:
        """The thread. In each step it holds the interpreter for some microseconds."""
        itself = (Change.deleted, str(self._directory.absolute()))
        try:
            for changes in watchfiles.watch(
                self._directory,
                watch_filter=None,  # the next look will tell what concerns us
                debounce=2 * _STEP_MS,
                step=_STEP_MS,
                stop_event=stop,
                rust_timeout=0,
                raise_interrupt=False,
                force_polling=False,
                ignore_permission_denied=False,  # or it passes over any trouble, such as the limit of watches
            ):
                self._loop.call_soon_threadsafe(self.changed.set)
                if itself in changes:  # what is there next may look like it, down to the inode
                    self._folder = None
                    return
        except Exception as error:  # the system's limit of watches, or the folder is gone already
            log.warning(
                "no notices of changed prompts: they are looked for every now and then",
                folder=str(self._directory),
                why=plainly(error),
            )


def has_notices(folder: tuple[int, int]) -> bool:
    """Whether changes in a folder, given as device and inode, are told on its file system."""
    return kind_of(folder[0]).split(".")[0] not in _SILENT


def kind_of(device: int) -> str:
    """A mounted file system's kind, such as `ext4`; "" where that is not known: a local one, for all we know."""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""  # not Linux
    for mount in mounts:
        fields = mount.split(" ")
        if fields[2] == number:
            return fields[fields.index("-") + 1]
    return ""
