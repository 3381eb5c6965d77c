"""Listens to the operating system's events (such as inotify's) of changed files in the prompt folder.

Some file systems, such as those of a network, do not report all changes: the folder is then only scanned.
"""

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

_MOUNTS = Path("/proc/self/mountinfo")  # Linux' list of mounted file systems
# File systems that do not report all changes, as files may change on another machine, or outside of the kernel.
_WITHOUT_EVENTS = {
    *("nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "virtiofs", "vboxsf", "vmhgfs", "prl_fs", "afs", "ceph"),
    *("glusterfs", "lustre", "beegfs", "gpfs", "ocfs2", "gfs2", "fuse"),
}
_STEP_MS = 500  # ms after which the thread that waits for events checks again whether it is to stop

log = structlog.get_logger()


class ChangeEvents:
    """Listens to the operating system's change events of the prompt folder, and sets `changed` at each event.

    `how` is the setting `prompts.watch`: with "events", the object listens; with "poll", it never listens; with
    "auto", it listens if the folder's file system reports all changes.
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
        """Whether the thread listens now, so that a change of the folder sets `changed`."""
        return self._listening is not None and not self._listening.done()

    async def listen_to(self, folder: tuple[int, int] | None) -> None:
        """Listen to the folder that is now at the path, given as device and inode; None if there is no folder.

        A failure is logged, and not raised.
        """
        if folder == self._folder:
            return
        await self.close()
        self._folder = folder
        if folder is None or self._how == "poll":
            return
        if self._how == "events" or await asyncio.to_thread(reports_all_changes, folder):
            self._stop = threading.Event()
            # Listening occupies its thread all the time, so no thread of the event loop's small pool is used.
            self._thread = ThreadPoolExecutor(1, "prompt-events")
            self._listening = self._loop.run_in_executor(self._thread, self._listen, self._stop)

    async def wait_for_change(self, seconds: float) -> None:
        """Wait for a change event of the folder, for at most `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.changed.wait()
        self.changed.clear()

    async def close(self) -> None:
        """Stop listening, and end the thread."""
        self._stop.set()
        if self._listening is not None and self._thread is not None:
            await asyncio.wait([self._listening])
            self._thread.shutdown()
        self._listening = None

    def _listen(self, stop: threading.Event) -> None:
        """Wait for change events, in a thread, until `stop` is set. Each step holds the GIL for microseconds."""
        folder_deleted = (Change.deleted, str(self._directory.absolute()))
        try:
            for changes in watchfiles.watch(
                self._directory,
                watch_filter=None,  # report all changes: the next scan finds out which of them matter
                debounce=2 * _STEP_MS,
                step=_STEP_MS,
                stop_event=stop,
                rust_timeout=0,
                raise_interrupt=False,
                force_polling=False,
                ignore_permission_denied=False,  # True would hide all errors, such as a reached limit of watches
            ):
                self._loop.call_soon_threadsafe(self.changed.set)
                if folder_deleted in changes:  # forget the folder: a new folder may get its inode number
                    self._folder = None
                    return
        # Watching failed, for example because the limit of watches is reached, or the folder was removed.
        except Exception as error:
            log.warning(
                "prompt folder polled instead of watched",
                folder=str(self._directory),
                why=error_text(error),
            )


def reports_all_changes(folder: tuple[int, int]) -> bool:
    """Whether a folder's file system reports all changes of files by events. `folder`: its device and inode."""
    return file_system_of(folder[0]).split(".")[0] not in _WITHOUT_EVENTS


def file_system_of(device: int) -> str:
    """The type of the file system on a device, such as `ext4`; "" if unknown: callers then assume a local one."""
    number = f"{os.major(device)}:{os.minor(device)}"
    try:
        mounts = _MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""  # the list of mounts exists on Linux only
    for mount in mounts:
        fields = mount.split(" ")
        if fields[2] == number:
            return fields[fields.index("-") + 1]
    return ""
