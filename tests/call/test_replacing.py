"""Work of a handler that is replaced by other work on the same call: exact, under virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from mediaserver.audio.fade import fade_out
from mediaserver.call import Call, End, EndReason
from mediaserver.call.control.peer_control import PeerControl
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.playout.pacing.frames import frame, frames, sent_frames, source
from tests.virtual import VirtualLoop, in_virtual_time

Run = Callable[[Call], Coroutine[Any, Any, None]]


def caller_of(loop: VirtualLoop) -> Caller:
    return Caller(loop, library_of({}))


async def play(call: Call, *numbers: int) -> None:
    await call.play(source(*numbers))
    await call.silence()


def replacing(caller: Caller, run: Run) -> Callable[[], None]:
    """Replace the work by that of `run`."""
    return lambda: caller.session.operator.replace_work(lambda: run(caller.session.call))


@in_virtual_time
async def test_the_stream_never_goes_quiet_and_the_call_goes_on(loop: VirtualLoop) -> None:
    caller = caller_of(loop)
    end = await caller.call(
        lambda call: play(call, *range(1, 21)), 200, (50, replacing(caller, lambda call: play(call, 101, 102)))
    )
    assert end is None
    # The fade of what was stopped and the next handler's sound follow each other without a gap.
    assert sent_frames(caller.stage)[:6] == [*frames(1, 2, 3), fade_out(frame(4)), *frames(101, 102)]
    assert len(sent_frames(caller.stage)) == caller.session.frames == 10
    assert caller.session.end == End(EndReason.PEER_CLOSED, 1000)


@in_virtual_time
async def test_what_replaces_is_replaced_in_its_turn(loop: VirtualLoop) -> None:
    caller = caller_of(loop)
    counted: list[int] = []

    async def count(call: Call, number: int) -> None:
        task = asyncio.current_task()
        assert task is not None
        assert task.cancelling() == 0
        counted.append(number)
        async with asyncio.timeout(10):
            await call.silence()

    end = await caller.call(
        lambda call: count(call, 1),
        200,
        (50, replacing(caller, lambda call: count(call, 2))),
        (90, replacing(caller, lambda call: count(call, 3))),
    )
    assert (counted, end) == ([1, 2, 3], None)


@in_virtual_time
async def test_work_is_replaced_before_it_has_begun(loop: VirtualLoop) -> None:
    caller = caller_of(loop)
    replacing(caller, lambda call: play(call, 7))()
    await caller.call(lambda call: play(call, 1), 100)
    assert sent_frames(caller.stage)[:2] == [frame(7), None]


@in_virtual_time
async def test_when_the_new_work_is_over_the_stream_is(loop: VirtualLoop) -> None:
    caller = caller_of(loop)

    async def brief(call: Call) -> None:
        await call.play(source(7))

    end = await caller.call(lambda call: play(call, 1), 200, (50, replacing(caller, brief)))
    assert end == End(EndReason.FINISHED, 1000)


@pytest.mark.parametrize("first", ["the end", "the replacement"])
@in_virtual_time
async def test_a_stream_that_ends_at_the_same_time_is_not_continued(loop: VirtualLoop, first: str) -> None:
    caller = caller_of(loop)
    begun: list[str] = []

    async def other(call: Call) -> None:
        begun.append("other")

    def both() -> None:
        actions = [lambda: caller.session.finish(End(EndReason.HUNG_UP, 1000)), replacing(caller, other)]
        for action in actions if first == "the end" else reversed(actions):
            action()

    end = await caller.call(lambda call: play(call, 1), 200, (50, both))
    assert (end, begun) == (End(EndReason.HUNG_UP, 1000), [])


@in_virtual_time
async def test_a_task_that_is_cancelled_at_the_same_time_ends(loop: VirtualLoop) -> None:
    """Such as when the server shuts down."""
    caller = caller_of(loop)
    begun: list[str] = []
    tasks: list[asyncio.Task[Any]] = []

    async def first(call: Call) -> None:
        tasks.extend(filter(None, [asyncio.current_task()]))
        await call.silence()

    async def other(call: Call) -> None:
        begun.append("other")

    def both() -> None:
        replacing(caller, other)()
        tasks[0].cancel()

    end = await caller.call(first, 200, (50, both))
    assert end is not None
    assert (end.reason, begun) == (EndReason.DRAINED, [])


@in_virtual_time
async def test_work_that_takes_its_time_to_end_is_waited_for_and_what_it_wanted_is_forgotten(
    loop: VirtualLoop,
) -> None:
    caller = caller_of(loop)
    order: list[str] = []

    class Control(PeerControl):
        def hang_up(self) -> None:
            order.append("hung up")

    caller.session.control = Control()

    async def slow(call: Call) -> None:
        call.hang_up()
        try:
            await call.silence()
        finally:
            await asyncio.sleep(0.05)
            assert caller.session.operator.replacing
            order.append("slow is over")

    async def next_work(call: Call) -> None:
        assert not caller.session.operator.replacing
        order.append("next")
        await play(call, 7)

    await caller.call(slow, 200, (50, replacing(caller, next_work)))
    assert frame(7) in sent_frames(caller.stage)[5:7]
    await caller.session.drain()
    assert order == ["slow is over", "next"]


@in_virtual_time
async def test_an_error_in_the_new_work_ends_the_stream(loop: VirtualLoop) -> None:
    caller = caller_of(loop)

    async def fail(call: Call) -> None:
        raise RuntimeError("of the new work")

    with pytest.raises(RuntimeError, match="of the new work"):
        await caller.call(lambda call: play(call, 1), 200, (50, replacing(caller, fail)))
    assert caller.session.end is not None
    assert caller.session.end.reason is EndReason.ERROR


@in_virtual_time
async def test_keys_before_the_request_are_the_earlier_works_and_those_from_then_on_the_next_ones(
    loop: VirtualLoop,
) -> None:
    caller, found = caller_of(loop), list[str]()

    async def ask(call: Call) -> None:
        await call.collect_digits(1)
        try:
            await call.silence()
        finally:
            await asyncio.sleep(0.1)

    async def collect(call: Call) -> None:
        found.append((await call.collect_digits(3, terminator="", timeout=0.2, interdigit=0.1)).digits)
        await call.silence()

    await caller.call(
        ask,
        600,
        (30, lambda: caller.session.push_digits("7")),
        (50, lambda: caller.session.push_digits("89")),
        (50, replacing(caller, collect)),
        (90, lambda: caller.session.push_digits("1")),
        (210, lambda: caller.session.push_digits("2")),
    )
    assert found == ["12"]


@in_virtual_time
async def test_a_needless_terminator_of_the_earlier_work_is_a_key_of_the_next(loop: VirtualLoop) -> None:
    caller, found = caller_of(loop), list[str]()

    async def ask(call: Call) -> None:
        await call.collect_digits(1)
        await call.silence()

    async def collect(call: Call) -> None:
        found.append((await call.collect_digits(1, terminator="", timeout=0.2)).digits)
        await call.silence()

    await caller.call(
        ask,
        600,
        (30, lambda: caller.session.push_digits("7")),
        (50, replacing(caller, collect)),
        (90, lambda: caller.session.push_digits("#")),
    )
    assert found == ["#"]
