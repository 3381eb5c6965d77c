"""Turns at a steady rate, in virtual time."""

import asyncio

import pytest

from mediaserver.client.pace import Pace
from tests.virtual import VirtualLoop, in_virtual_time


@in_virtual_time
async def test_turns_come_in_order_at_a_steady_rate_and_the_first_at_once(loop: VirtualLoop) -> None:
    pace, times = Pace(), []

    async def take(number: int) -> None:
        await pace.turn(10)
        times.append((number, loop.time()))

    await asyncio.gather(*map(take, range(4)))
    assert times == [(n, pytest.approx(n / 10)) for n in range(4)]
    await asyncio.sleep(5)  # saves nothing up
    await asyncio.gather(*map(take, range(3)))
    assert times[4:] == [(n, pytest.approx(5.3 + n / 10)) for n in range(3)]


@in_virtual_time
async def test_who_no_longer_waits_costs_the_others_nothing(loop: VirtualLoop) -> None:
    pace, times = Pace(), []

    async def take(number: int) -> None:
        await pace.turn(10)
        times.append((number, loop.time()))

    tasks = [asyncio.create_task(take(n)) for n in range(5)]
    await asyncio.sleep(0.05)
    tasks[1].cancel()  # whose turn is next
    tasks[3].cancel()  # in the queue
    await asyncio.wait(tasks)
    assert times == [(0, 0.0), (2, pytest.approx(0.1)), (4, pytest.approx(0.2))]
