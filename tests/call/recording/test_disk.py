"""The disk executor: one job after the other, and every wait has an end."""

import asyncio

import pytest

from mediaserver.call import DiskExecutor
from tests.virtual import VirtualLoop, in_virtual_time


def fail() -> None:
    raise OSError(28, "No space left on device")


def test_jobs_run_in_their_order_and_are_waited_for() -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        disk, done = DiskExecutor(), []
        loop.jobs_last = iter([1.0, 4.9])
        assert not disk.busy
        for n in range(2):
            await disk.run_blocking(done.append, n)
            assert (done[-1], disk.busy) == (n, False)
        assert loop.time() == pytest.approx(5.9)

    run()


def test_a_cancelled_owner_does_not_stop_a_job_and_the_next_job_waits() -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        disk, done = DiskExecutor(), []
        loop.jobs_last = iter([2.0, 1.0])
        first = asyncio.create_task(disk.run_blocking(done.append, 1))
        await asyncio.sleep(0.5)
        first.cancel()
        await asyncio.wait([first])
        assert (disk.busy, done) == (True, [])
        await disk.run_blocking(done.append, 2)
        assert (done, loop.time(), disk.busy) == ([1, 2], 3.0, False)

    run()


def test_a_job_that_hangs_times_out_once_and_its_failure_is_raised_later() -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        disk = DiskExecutor(timeout=3.0)
        loop.jobs_last = iter([20.0, 0.0])
        for _ in range(3):  # the second and the third are not even begun
            with pytest.raises(OSError, match="does not answer"):
                await disk.run_blocking(fail)
            assert (loop.time(), disk.busy) == (3.0, True)
        await asyncio.sleep(20)
        with pytest.raises(OSError, match="No space"):
            await disk.run_blocking(fail)
        assert list(loop.jobs_last) == [0.0]

    run()


def test_a_failure_is_raised_once() -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        disk, done = DiskExecutor(), []
        loop.jobs_last = iter([0.1, 0.1])
        with pytest.raises(OSError, match="No space"):
            await disk.run_blocking(fail)
        await disk.run_blocking(done.append, 1)
        assert done == [1]

    run()
