"""Calls that are spread over turns of the event loop."""

import asyncio

from mediaserver.support.spread_calls import SpreadCalls


async def test_a_few_functions_are_called_in_each_turn_in_their_order() -> None:
    spread, called = SpreadCalls(3), list[int]()
    for number in range(7):
        spread.call_soon(lambda number=number: called.append(number))  # type: ignore[misc]
    turns = []
    for _ in range(5):
        await asyncio.sleep(0)
        turns.append([*called])
    assert turns == [[0, 1, 2], [0, 1, 2, 3, 4, 5], [*range(7)], [*range(7)], [*range(7)]]


async def test_a_function_may_have_others_called() -> None:
    spread, called = SpreadCalls(2), list[str]()

    def first() -> None:
        called.append("first")
        spread.call_soon(lambda: called.append("third"))

    spread.call_soon(first)
    spread.call_soon(lambda: called.append("second"))
    await asyncio.sleep(0)
    assert called == ["first", "second"]
    await asyncio.sleep(0)
    assert called == ["first", "second", "third"]
    spread.call_soon(lambda: called.append("fourth"))
    await asyncio.sleep(0)
    assert called == ["first", "second", "third", "fourth"]
