"""What a handler decides for the flow of its call: the first decision stands, and is told once."""

from collections.abc import Sequence

import pytest

from mediaserver.call.control.flow_control import FlowControl
from mediaserver.call.inbound.keypad import Keypad
from mediaserver.wire.voipbin.actions import Action
from mediaserver.wire.voipbin.destination import Destination
from tests.virtual import VirtualLoop, in_virtual_time

NUMBER = {"type": "tel", "target": "+4930123456"}


def bare(decision: Sequence[Action] | None) -> list[Action]:
    """The actions of a decision, without ids."""
    assert decision is not None
    return [{key: value for key, value in action.items() if key != "id"} for action in decision]


def test_only_the_first_decision_has_an_effect_and_is_told() -> None:
    told: list[Sequence[Action]] = []
    control = FlowControl(on_decision=told.append)
    assert control.decision is None
    control.lead_to([{"type": "stop"}])
    control.hang_up()
    assert control.decision == [{"type": "stop"}]
    assert told == [[{"type": "stop"}]]


@pytest.mark.parametrize(
    ("source", "shown"), [("", {}), ("+4930999", {"source": {"type": "tel", "target": "+4930999"}})]
)
def test_a_transferred_call_shows_the_number_of_the_settings(source: str, shown: dict[str, object]) -> None:
    control = FlowControl(source)
    control.require(Destination.parse("+4930123456"))
    control.lead_to(Destination.parse("+4930123456"))
    assert bare(control.decision) == [{"type": "connect", "option": {**shown, "destinations": [NUMBER]}}]


@in_virtual_time
async def test_a_flow_waits_for_a_decision_or_a_handler_that_waits_for_a_digit(loop: VirtualLoop) -> None:
    control = FlowControl()
    assert control.patience == 0.0
    await control.settle(2)
    assert loop.time() == 2  # nothing came
    loop.call_later(0.5, control.hang_up)
    await control.settle(2)
    assert loop.time() == 2.5
    await control.settle(2)
    assert loop.time() == 2.5  # it is decided


@in_virtual_time
async def test_a_handler_that_waits_for_a_digit_has_patience(loop: VirtualLoop) -> None:
    control, keypad = FlowControl(), Keypad(loop.time)
    control.on_keypad(keypad)
    waiting = loop.create_task(keypad.wait_for_digit(lambda: 7.0))
    await control.settle(2)
    assert (loop.time(), control.patience) == (0.0, 7.0)
    waiting.cancel()
