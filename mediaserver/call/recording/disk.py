"""Runs disk work off the event loop: one job after the other in a thread, with a time-out for a stuck disk.

To have a thread do one small job costs several times as much as the job, above all where the event loop is busy.
So what can wait a little is gathered: one thread then does the jobs of many owners.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

DISK_TIMEOUT = 5.0  # seconds to wait for one disk job: fewer than a server's shutdown waits
GATHER_TIME = 0.01  # the most seconds that a gathered job waits for others
_MOST_GATHERED = 16  # the most jobs of one thread: of more, others do a part, which helps if the disk is slow


class _Batch:
    """Jobs for the files of one folder, which one thread does one after the other.

    Each folder may be on a disk of its own, which may be stuck alone.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, folder: Path) -> None:
        self._loop, self._key = loop, (loop, folder)
        self._jobs: list[Callable[[], None]] = []
        self._results: list[asyncio.Future[None]] = []  # the result of each job
        self._timer = loop.call_later(GATHER_TIME, self.run)

    @classmethod
    def gathering(cls, folder: Path) -> "_Batch":
        """The batch of a folder that still takes jobs."""
        loop = asyncio.get_running_loop()
        batch = _gathering.get((loop, folder))
        if batch is None:
            batch = _gathering[loop, folder] = cls(loop, folder)
        return batch

    def add(self, job: Callable[[], None]) -> asyncio.Future[None]:
        """Add a job; returns the job's result."""
        result: asyncio.Future[None] = self._loop.create_future()
        self._jobs.append(job)
        self._results.append(result)
        if len(self._jobs) == _MOST_GATHERED:
            self.run()
        return result

    def run(self) -> None:
        """Have a thread do the jobs now, unless it does them already."""
        if _gathering.get(self._key) is self:
            del _gathering[self._key]
            self._timer.cancel()
            jobs, self._jobs = self._jobs, []  # owners, to which the jobs refer, keep this batch
            self._loop.run_in_executor(None, _run_all, jobs).add_done_callback(self._set_results)

    def _set_results(self, done: asyncio.Future[Sequence[Exception | None]]) -> None:
        for result, error in zip(self._results, done.result(), strict=True):
            if error is None:
                result.set_result(None)
            else:
                result.set_exception(error)


# The batches that still take jobs, by event loop and folder.
_gathering: dict[tuple[asyncio.AbstractEventLoop, Path], _Batch] = {}


def _run_all(jobs: Sequence[Callable[[], None]]) -> Sequence[Exception | None]:
    """Run jobs; returns the error of each, None where there was none."""
    return [_error_of(job) for job in jobs]


def _error_of(job: Callable[[], None]) -> Exception | None:
    try:
        job()
    except Exception as error:
        return error
    return None


class DiskExecutor:
    """Runs the blocking disk jobs of one owner in order. A running job goes on even if its owner is cancelled."""

    def __init__(self, timeout: float = DISK_TIMEOUT) -> None:
        self._timeout = timeout
        self._stuck = False  # whether a job has timed out; later jobs are then not waited for
        self._work: asyncio.Future[None] | None = None
        self._batch: _Batch | None = None  # of the latest job that was gathered

    async def run_blocking(self, work: Callable[..., None], *args: Any) -> None:
        """Run a job in a thread. OSError if this job or the previous job fails, or the disk does not answer."""
        await self._wait()
        self._work = asyncio.get_running_loop().run_in_executor(None, work, *args)
        await self._wait()

    async def run_gathered(self, folder: Path, work: Callable[..., None], *args: Any) -> None:
        """Run a job within `GATHER_TIME`, by `run_blocking`'s rules, in one thread with other jobs of a folder."""
        await self._wait()
        self._batch = _Batch.gathering(folder)
        self._work = self._batch.add(partial(work, *args))
        await self._wait()

    def hurry(self) -> None:
        """Run a job at once that waits for others."""
        if self._batch is not None:
            self._batch.run()

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
