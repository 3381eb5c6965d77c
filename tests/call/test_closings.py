"""Connections that are closed while their call goes on: no more than eight at a time, and what is counted."""

import asyncio

import pytest

from mediaserver.call.closings import MAX_CLOSINGS, Closings
from tests.virtual import VirtualLoop, in_virtual_time


@in_virtual_time
async def test_all_are_waited_for_and_those_without_an_answer_are_counted(loop: VirtualLoop) -> None:
    closings = Closings()

    async def close(seconds: float, *, answered: bool) -> bool:
        await asyncio.sleep(seconds)
        return answered

    began = loop.time()
    closings.add(close(1, answered=True))
    closings.add(close(2, answered=False))
    assert len(closings) == 2
    await closings.wait()
    assert (len(closings), closings.unanswered, loop.time() - began) == (0, 1, pytest.approx(2))
    await closings.wait()  # without any, there is nothing to wait for


@in_virtual_time
async def test_one_more_than_there_may_be_ends_the_oldest(loop: VirtualLoop) -> None:
    closings, ended = Closings(), list[int]()

    async def close(number: int) -> bool:
        try:
            await asyncio.sleep(2)
        except asyncio.CancelledError:
            ended.append(number)
            raise
        return True

    for number in range(MAX_CLOSINGS + 2):
        closings.add(close(number))
        await asyncio.sleep(0.01)
    assert (ended, len(closings), closings.unanswered) == ([0, 1], MAX_CLOSINGS, 2)
    await closings.wait()
    assert (ended, closings.unanswered) == ([0, 1], 2)


@in_virtual_time
async def test_many_that_come_at_once_each_begin_and_the_oldest_are_ended(loop: VirtualLoop) -> None:
    closings, begun, ended = Closings(), list[int](), list[int]()

    async def close(number: int) -> bool:
        begun.append(number)  # one that never began could not abort its connection
        try:
            await asyncio.sleep(2)
        except asyncio.CancelledError:
            ended.append(number)
            raise
        return True

    for number in range(MAX_CLOSINGS + 3):
        closings.add(close(number))
    await asyncio.sleep(0.01)
    assert (begun, ended) == ([*range(MAX_CLOSINGS + 3)], [0, 1, 2])
    assert (len(closings), closings.unanswered) == (MAX_CLOSINGS, 3)
    await closings.wait()
    assert (ended, closings.unanswered) == ([0, 1, 2], 3)
