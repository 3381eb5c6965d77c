"""Runs disk work off the event loop: one job after the other in a thread, with a time-out for a stuck disk."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

DISK_TIMEOUT = 5.0  # seconds to wait for one disk job: fewer than a server's shutdown waits


class DiskExecutor:
    """Runs the blocking disk jobs of one owner in order. A running job goes on even if its owner is cancelled."""

    def __init__(self, timeout: float = DISK_TIMEOUT) -> None:
        self._timeout = timeout
        self._stuck = False  # whether a job has timed out; later jobs are then not waited for
        self._work: asyncio.Future[None] | None = None

    @property
    def busy(self) -> bool:
        """Whether a job is running."""
        return self._work is not None and not self._work.done()

    async def run_blocking(self, work: Callable[..., None], *args: Any) -> None:
        """Run a job in a thread. OSError if this job or the previous job fails, or the disk does not answer."""
        await self._wait()
        self._work = asyncio.get_running_loop().run_in_executor(None, work, *args)
        await self._wait()

    async def _wait(self) -> None:
        work = self._work
        if work is None:
            return
        if not work.done() and not self._stuck:
            await self._wait_for(work)
        if not work.done():
            self._stuck = True
            raise TimeoutError("the disk does not answer")
        self._work = None
        work.result()

    async def _wait_for(self, work: asyncio.Future[None]) -> None:
        """Wait until a job is done, at most for the time-out. `asyncio.wait` would take several times as long."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(self._timeout, _wake, waiter)
        wake = partial(_wake, waiter)
        work.add_done_callback(wake)
        try:
            await waiter
        finally:
            timer.cancel()
            work.remove_done_callback(wake)


def _wake(waiter: asyncio.Future[None], done: object = None) -> None:
    """Set the result of a future on which a task waits, unless the task was cancelled meanwhile."""
    if not waiter.done():
        waiter.set_result(None)
