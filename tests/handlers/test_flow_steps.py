"""Where menus lead a call of a VoIPBIN flow: transfers, actions, and the end of a flow that is exhausted."""

import tomllib
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from mediaserver.call.control.flow_control import FlowControl
from mediaserver.handlers.menu.handler import MenuHandler
from tests.call.caller import Caller, digits
from tests.handlers.test_handlers import library_of
from tests.sound import speechlike
from tests.virtual import VirtualLoop, in_virtual_time

MENUS = """
[menus.main]
timeout = 60
keys.1 = { play = "bye", transfer = "+4930123456" }
keys.2 = { actions = [{ type = "stop" }] }
keys.3 = { actions = [] }
keys.4 = { webhook = "http://backend/next" }
keys.9 = { hangup = true }
"""
BYE = speechlike(4000, 3)
CONNECT = {"type": "connect", "option": {"destinations": [{"type": "tel", "target": "+4930123456"}]}}


async def visit(
    loop: VirtualLoop,
    *acts: tuple[float, Callable[[Caller], Any]],
    answers: tuple = (),
    more: str = "",
    flow: bool = True,
) -> tuple[Caller, FlowControl]:
    """A caller who does `acts` at their times in ms; the call lasts for 4 s."""
    caller, control = Caller(loop, library_of({"bye": BYE}), None, *answers), FlowControl()
    if flow:
        caller.session.control = control
    handler = MenuHandler.model_validate(tomllib.loads(more + MENUS))
    await caller.call(handler.run, 4000, *((at, lambda act=act: act(caller)) for at, act in acts))
    await caller.session.drain()
    return caller, control


def exhaust(caller: Caller) -> None:
    """VoIPBIN's flow has hardly any actions left."""
    control = caller.session.control
    assert isinstance(control, FlowControl)
    control.warn_of_exhaustion()


def press(keys: str) -> Callable[[Caller], Any]:
    return lambda caller: caller.say(digits(keys))


@pytest.mark.parametrize(
    ("key", "decision"),
    [("1", [CONNECT]), ("2", [{"type": "stop"}]), ("3", []), ("9", [{"type": "hangup"}])],
)
@in_virtual_time
async def test_where_keys_lead(loop: VirtualLoop, key: str, decision: list[dict]) -> None:
    caller, control = await visit(loop, (200, press(key)))
    assert list(control.decision or ()) == decision
    assert control.decision is not None
    assert caller.session._lifetime.hanging_up is (key == "9")


@in_virtual_time
async def test_what_is_played_before_a_transfer_is_heard_to_its_end(loop: VirtualLoop) -> None:
    caller, _ = await visit(loop, (200, press("1")))
    heard = caller.heard
    assert BYE.tobytes() in heard.tobytes()


@pytest.mark.parametrize(
    ("answer", "decision"),
    [
        (
            {"transfer": "extension:100"},
            {"type": "connect", "option": {"destinations": [{"type": "extension", "target": "100"}]}},
        ),
        ({"actions": [{"type": "stop"}]}, {"type": "stop"}),
        ({"transfer": "nowhere"}, {"type": "hangup"}),
        ({"transfer": "+4930123456", "hangup": True}, {"type": "hangup"}),
        ({"actions": [{"type": "talk", "text": "Hi"}]}, {"type": "hangup"}),
    ],
)
@in_virtual_time
async def test_a_webhook_may_lead_a_call_on(loop: VirtualLoop, answer: dict, decision: dict) -> None:
    caller, control = await visit(loop, (200, press("4")), answers=(answer,))
    assert list(control.decision or ()) == [decision]
    assert bool(caller.backend.events_of("webhook.failed")) is (decision == {"type": "hangup"})


@in_virtual_time
async def test_a_stream_that_is_no_flow_s_is_hung_up(loop: VirtualLoop, capfd: pytest.CaptureFixture[str]) -> None:
    caller, control = await visit(loop, (200, press("1")), flow=False)
    assert caller.session._lifetime.hanging_up
    assert control.decision is None
    assert "call control failed" in capfd.readouterr().out


@in_virtual_time
async def test_an_exhausted_flow_ends_as_the_menu_says(loop: VirtualLoop) -> None:
    more = 'on_exhausted = { play = "bye", transfer = "+4930123456" }\n'
    caller, control = await visit(loop, (500, exhaust), more=more)
    assert list(control.decision or ()) == [CONNECT]
    assert BYE.tobytes() in caller.heard.tobytes()
    _, control = await visit(loop, (500, exhaust))
    assert list(control.decision or ()) == [{"type": "hangup"}]


@pytest.mark.parametrize(
    "step", ['{ menu = "main" }', '{ webhook = "http://backend/" }', "{ record = true, hangup = true }"]
)
def test_an_exhausted_flow_cannot_ask(step: str) -> None:
    with pytest.raises(ValidationError, match="on_exhausted: no keys come any more"):
        MenuHandler.model_validate(tomllib.loads(f"on_exhausted = {step}\n{MENUS}"))


def test_what_a_path_needs_a_flow_for() -> None:
    handler = MenuHandler.model_validate(tomllib.loads(f'on_webhook_error = {{ transfer = "sip:a@b" }}\n{MENUS}'))
    assert list(handler.flow_needs()) == [
        "menus.main.keys.1.transfer",
        "menus.main.keys.2.actions",
        "menus.main.keys.3.actions",
        "on_webhook_error.transfer",
    ]
