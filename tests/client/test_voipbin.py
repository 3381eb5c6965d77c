"""The rate at which streams are dialled, under virtual time."""

import asyncio

import pytest

from mediaserver.client.voipbin import DialRateLimiter
from tests.virtual import VirtualLoop, in_virtual_time


@in_virtual_time
async def test_dials_are_spaced_in_order_and_the_first_is_at_once(loop: VirtualLoop) -> None:
    limiter, times = DialRateLimiter(), []

    async def acquire(number: int) -> None:
        await limiter.acquire(10)
        times.append((number, loop.time()))

    await asyncio.gather(*map(acquire, range(4)))
    assert times == [(n, pytest.approx(n / 10)) for n in range(4)]
    await asyncio.sleep(5)  # no rate is saved up
    await asyncio.gather(*map(acquire, range(3)))
    assert times[4:] == [(n, pytest.approx(5.3 + n / 10)) for n in range(3)]


@in_virtual_time
async def test_a_cancelled_dial_costs_the_others_no_time(loop: VirtualLoop) -> None:
    limiter, times = DialRateLimiter(), []

    async def acquire(number: int) -> None:
        await limiter.acquire(10)
        times.append((number, loop.time()))

    tasks = [asyncio.create_task(acquire(n)) for n in range(5)]
    await asyncio.sleep(0.05)
    tasks[1].cancel()  # which would be next
    tasks[3].cancel()  # in the queue
    await asyncio.wait(tasks)
    assert times == [(0, 0.0), (2, pytest.approx(0.1)), (4, pytest.approx(0.2))]
