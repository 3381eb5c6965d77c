"""Change events of the system (inotify and the like) for the prompt folder, where its file system has them."""

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

from mediaserver.errors import error_text

_MOUNTS = Path("/proc/self/mountinfo")
# File systems whose files may change on another machine, or without the kernel's knowledge: then no events come.
_WITHOUT_EVENTS = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "vboxsf", "vmhgfs", "prl_fs", "afs", "ceph"),
    *("glusterfs", "lustre", "beegfs", "gpfs", "ocfs2", "gfs2", "fuse"),
}
_STEP_MS = 500  # milliseconds after which the thread that waits for events checks again whether to stop

log = structlog.get_logger()


class ChangeEvents:
    """Listens to the change events of one folder at a time. `changed` is set at each event, of one file or many.

    `how` is the setting `prompts.watch`: "events" listens, "poll" never does,
    and "auto" does where the file system reports all changes.
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
    def listening(self) -> bool:
        """Whether we listen, so that change events will come."""
        return self._listening is not None and not self._listening.done()

    async def listen_to(self, folder: tuple[int, int] | None) -> None:
        """Listen to the folder (device and inode) now at the path, or to none (None). A failure is only logged."""
        if folder == self._folder:
            return
        await self.close()
        self._folder = folder
        if folder is None or self._how == "poll":
            return
        if self._how == "events" or await asyncio.to_thread(reports_all_changes, folder):
            self._stop = threading.Event()
            # A thread of its own, because listening occupies it, and the loop's pool has few threads for all.
            self._thread = ThreadPoolExecutor(1, "prompt-events")
            self._listening = self._loop.run_in_executor(self._thread, self._listen, self._stop)

    async def wait_for_change(self, seconds: float) -> None:
        """Wait for an event, but for at most `seconds`."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.changed.wait(), seconds)
        self.changed.clear()

    async def close(self) -> None:
        """Stop listening, and end the thread."""
        self._stop.set()
        if self._listening is not None and self._thread is not None:
            await asyncio.wait([self._listening])
            self._thread.shutdown()
        self._listening = None

    def _listen(self, stop: threading.Event) -> None:
        """Wait for events, in the thread. Each step holds the interpreter (GIL) for some microseconds."""
        folder_deleted = (Change.deleted, str(self._directory.absolute()))
        try:
            for changes in watchfiles.watch(
                self._directory,
                watch_filter=None,  # the next scan tells which changes matter
                debounce=2 * _STEP_MS,
                step=_STEP_MS,
                stop_event=stop,
                rust_timeout=0,
                raise_interrupt=False,
                force_polling=False,
                ignore_permission_denied=False,  # True would hide any error, such as the limit of watches
            ):
                self._loop.call_soon_threadsafe(self.changed.set)
                if folder_deleted in changes:  # forget it: the next folder may have the same inode
                    self._folder = None
                    return
        except Exception as error:  # the system's limit of watches is reached, or the folder is gone already
            log.warning(
                "no change events for the prompt folder: it is scanned every now and then",
                folder=str(self._directory),
                why=error_text(error),
            )


def reports_all_changes(folder: tuple[int, int]) -> bool:
    """Whether the file system of a folder, given as device and inode, has events for all changes in it."""
    return file_system_of(folder[0]).split(".")[0] not in _WITHOUT_EVENTS


def file_system_of(device: int) -> str:
    """The type of a mounted file system, such as `ext4`; "" if unknown, which callers take for a local one."""
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
