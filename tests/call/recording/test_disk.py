"""The disk executor: one job after the other, and every wait has an end."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from mediaserver.call import DiskExecutor
from tests.virtual import VirtualLoop, in_virtual_time


def is_busy(disk: DiskExecutor) -> bool:
    """Whether a job is running, or waits for others."""
    return disk._work is not None and not disk._work.done()


def fail() -> None:
    raise OSError(28, "No space left on device")


def test_jobs_run_in_their_order_and_are_waited_for() -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        disk, done = DiskExecutor(), []
        loop.jobs_last = iter([1.0, 4.9])
        assert not is_busy(disk)
        for n in range(2):
            await disk.run_blocking(done.append, n)
            assert (done[-1], is_busy(disk)) == (n, False)
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
        assert (is_busy(disk), done) == (True, [])
        await disk.run_blocking(done.append, 2)
        assert (done, loop.time(), is_busy(disk)) == ([1, 2], 3.0, False)

    run()


def test_a_job_that_hangs_times_out_once_and_its_failure_is_raised_later() -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        disk = DiskExecutor(timeout=3.0)
        loop.jobs_last = iter([20.0, 0.0])
        for _ in range(3):  # the second and the third are not even begun
            with pytest.raises(OSError, match="does not answer"):
                await disk.run_blocking(fail)
            assert (loop.time(), is_busy(disk)) == (3.0, True)
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


A, B = Path("a"), Path("b")


async def at(loop: VirtualLoop, seconds: float, owner: DiskExecutor, folder: Path, *job: Any) -> float:
    """Have a job gathered at a time; returns when it was done, in milliseconds."""
    await asyncio.sleep(seconds)
    await owner.run_gathered(folder, *job)
    return round(loop.time() * 1000)


def owners(count: int) -> list[DiskExecutor]:
    return [DiskExecutor() for _ in range(count)]


def test_jobs_for_one_folder_are_gathered_for_10_ms_and_done_in_one_thread() -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        done: list[int] = []
        loop.jobs_last = iter([0.2, 0.1])
        times = (0.0, 0.004, 0.009, 0.02)
        jobs = (at(loop, when, DiskExecutor(), A, done.append, n) for n, when in enumerate(times))
        assert await asyncio.gather(*jobs) == [210, 210, 210, 130]
        assert done == [3, 0, 1, 2]  # the later batch took less time
        assert list(loop.jobs_last) == []

    run()


def test_each_folder_has_a_thread_of_its_own_so_that_a_stuck_disk_stops_no_other() -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        done: list[str] = []
        loop.jobs_last = iter([100.0, 0.1])
        first, second = owners(2)
        stuck = asyncio.create_task(at(loop, 0, first, A, done.append, "a"))
        assert await at(loop, 0.01, second, B, done.append, "b") == 120
        assert done == ["b"]
        with pytest.raises(OSError, match="does not answer"):
            await stuck
        assert loop.time() == 5.0

    run()


def test_sixteen_jobs_wait_for_no_other() -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        done: list[int] = []
        times = await asyncio.gather(
            *(at(loop, n / 2000, owner, A, done.append, n) for n, owner in enumerate(owners(20)))
        )
        assert times == [8] * 16 + [18] * 4
        assert done == list(range(20))

    run()


def test_the_failure_of_a_gathered_job_is_its_owners_alone() -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        done: list[int] = []
        before, failing, after = owners(3)
        outcomes = await asyncio.gather(
            at(loop, 0, before, A, done.append, 1),
            at(loop, 0, failing, A, fail),
            at(loop, 0, after, A, done.append, 2),
            return_exceptions=True,
        )
        assert (outcomes[0], outcomes[2], done) == (10, 10, [1, 2])
        assert isinstance(outcomes[1], OSError)
        await failing.run_blocking(done.append, 3)  # the failure was raised once
        assert done == [1, 2, 3]

    run()


def test_a_gathered_job_is_done_although_its_owner_is_cancelled_and_the_owners_next_job_waits() -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        done: list[int] = []
        loop.jobs_last = iter([1.0, 1.0])
        (owner,) = owners(1)
        first = asyncio.create_task(owner.run_gathered(A, done.append, 1))
        await asyncio.sleep(0.005)
        first.cancel()
        await asyncio.wait([first])
        assert is_busy(owner)
        await owner.run_blocking(done.append, 2)
        assert (done, loop.time(), is_busy(owner)) == ([1, 2], pytest.approx(2.01), False)

    run()


def test_a_job_that_waits_for_others_is_hurried() -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        done: list[int] = []
        loop.jobs_last = iter([1.0, 1.0])
        first, second = owners(2)
        second.hurry()  # it has no job
        jobs = [
            asyncio.create_task(at(loop, 0, owner, A, done.append, n)) for n, owner in enumerate((first, second))
        ]
        await asyncio.sleep(0.005)
        first.hurry()
        first.hurry()
        assert await asyncio.gather(*jobs) == [1005, 1005]
        first.hurry()
        assert done == [0, 1]
        assert await at(loop, 0, second, A, done.append, 2) == 2015

    run()
