"""What a handler may do with its call besides media: work that a flow may cut short, and the stream's end."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from mediaserver.call import CloseCode, End, EndReason
from mediaserver.call.control.call_control import CallControl
from mediaserver.call.control.flow_control import FlowControl
from mediaserver.call.control.peer_control import PeerControl
from mediaserver.call.lifetime import Lifetime
from mediaserver.call.stream import Stream
from mediaserver.errors import CallControlError
from mediaserver.wire.voipbin.actions import Action
from mediaserver.wire.voipbin.destination import Destination
from tests.virtual import VirtualLoop, in_virtual_time


class Work:
    """Work of a handler that lasts for some seconds, and takes one more to clean up if it is cancelled."""

    def __init__(self, seconds: float, error: Exception | None = None) -> None:
        self._seconds, self._error = seconds, error
        self.state = "begun"

    async def run(self) -> None:
        try:
            await asyncio.sleep(self._seconds)
            if self._error is not None:
                raise self._error
            self.state = "done"
        except asyncio.CancelledError:
            await asyncio.sleep(1)
            self.state = "cleaned up"
            raise


def lifetime_of(loop: VirtualLoop, control: PeerControl | None = None) -> Lifetime:
    lifetime = Lifetime(Stream("id", "/path", "peer"), loop.time)
    if control is not None:
        lifetime.control = control
    return lifetime


def call_of(loop: VirtualLoop, control: PeerControl | None = None) -> CallControl:
    return CallControl(lifetime_of(loop, control))


@pytest.mark.parametrize("in_flow", [True, False])
@in_virtual_time
async def test_work_that_ends_in_time_is_done(loop: VirtualLoop, in_flow: bool) -> None:
    call, work = call_of(loop, FlowControl() if in_flow else None), Work(3)
    assert await call.until_exhausted(work.run())
    assert (work.state, loop.time()) == ("done", 3)
    assert len(asyncio.all_tasks()) == 1  # nothing waits any more


@in_virtual_time
async def test_work_of_a_flow_without_actions_ends_and_cleans_up_before_the_handler_goes_on(
    loop: VirtualLoop,
) -> None:
    control, work = FlowControl(), Work(3)
    loop.call_later(2, control.warn_of_exhaustion)
    assert not await call_of(loop, control).until_exhausted(work.run())
    assert (work.state, loop.time()) == ("cleaned up", 3)
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("in_flow", [True, False])
@in_virtual_time
async def test_an_error_in_the_work_is_the_handler_s(loop: VirtualLoop, in_flow: bool) -> None:
    call, work = call_of(loop, FlowControl() if in_flow else None), Work(1, LookupError("theirs"))
    with pytest.raises(LookupError, match="theirs"):
        await call.until_exhausted(work.run())
    assert len(asyncio.all_tasks()) == 1


@pytest.mark.parametrize("in_flow", [True, False])
@in_virtual_time
async def test_the_work_of_a_handler_that_is_cancelled_ends_before_it(loop: VirtualLoop, in_flow: bool) -> None:
    """Such as when the caller hangs up. Work that went on would act on a call that is over."""
    call, work = call_of(loop, FlowControl() if in_flow else None), Work(9)
    handler = asyncio.create_task(call.until_exhausted(work.run()))
    loop.call_later(2, handler.cancel)
    await asyncio.wait([handler])
    assert handler.cancelled()
    assert (work.state, loop.time()) == ("cleaned up", 3)
    assert len(asyncio.all_tasks()) == 1


@in_virtual_time
async def test_a_handler_ends_the_stream_with_a_code_and_a_text(loop: VirtualLoop) -> None:
    cases: list[tuple[tuple[Any, ...], End]] = [
        ((), End(EndReason.FINISHED, CloseCode.NORMAL)),
        ((CloseCode.GOING_AWAY, "until later"), End(EndReason.FINISHED, CloseCode.GOING_AWAY, "until later")),
    ]
    for arguments, end in cases:
        lifetime = lifetime_of(loop)
        CallControl(lifetime).close(*arguments)
        CallControl(lifetime).close(CloseCode.INTERNAL_ERROR)  # it is over
        assert lifetime.end == end


@in_virtual_time
async def test_a_handler_answers_a_call_without_playing(loop: VirtualLoop) -> None:
    control = PeerControl()
    call = call_of(loop, control)
    assert not control.answered
    call.answer()
    assert control.answered


@pytest.mark.parametrize("destination", ["tel:+4930123456", Destination.parse("tel:+4930123456")])
@in_virtual_time
async def test_a_call_is_transferred_to_a_destination_or_its_text(
    loop: VirtualLoop, destination: Destination | str
) -> None:
    lifetime = lifetime_of(loop, control := FlowControl())
    CallControl(lifetime).transfer(destination)
    assert lifetime.next == Destination.parse("+4930123456")
    assert control.decision is None  # the flow goes on only when the stream ends
    lifetime.conclude()
    assert [action["type"] for action in control.decision or ()] == ["connect"]


@in_virtual_time
async def test_actions_of_a_flow_run_once_they_are_valid(loop: VirtualLoop) -> None:
    lifetime = lifetime_of(loop, FlowControl())
    call = CallControl(lifetime)
    with pytest.raises(ValueError, match="should be an action"):
        call.run_actions([{"option": {}}])
    assert lifetime.next is None
    call.run_actions([{"type": "stop"}, {"type": "hangup"}])
    assert lifetime.next == ({"type": "stop"}, {"type": "hangup"})


@in_virtual_time
async def test_what_a_flow_can_do_with_a_call_is_asked_of_it(loop: VirtualLoop) -> None:
    asked: list[object] = []

    class Asked(FlowControl):
        def require(self, destination: Destination | Sequence[Action]) -> None:
            asked.append(destination)

    destination = Destination.parse("+4930123456")
    call_of(loop, Asked()).require_control(destination)
    assert asked == [destination]


@in_virtual_time
async def test_a_call_that_no_flow_leads_is_neither_transferred_nor_given_actions(loop: VirtualLoop) -> None:
    lifetime = lifetime_of(loop)
    call = CallControl(lifetime)
    for act in (
        lambda: call.transfer("+4930123456"),
        lambda: call.run_actions([{"type": "stop"}]),
        lambda: call.require_control(Destination.parse("+4930123456")),
    ):
        with pytest.raises(CallControlError, match="that takes a path with flow = true"):
            act()
    with pytest.raises(ValueError, match="should be a destination"):
        call.transfer("nowhere")
    assert lifetime.next is None
    call.hang_up()
    assert lifetime.hanging_up


@in_virtual_time
async def test_a_connection_that_a_handler_closes_meanwhile_is_waited_for_at_the_end(loop: VirtualLoop) -> None:
    lifetime, closed = lifetime_of(loop), list[float]()

    async def close() -> bool:
        await asyncio.sleep(2)
        closed.append(loop.time())
        return False

    CallControl(lifetime).close_later(close())
    assert (closed, loop.time()) == ([], 0)
    await lifetime.closings.wait()
    assert (closed, lifetime.closings.unanswered) == ([2], 1)
