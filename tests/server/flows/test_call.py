"""One call of a flow under virtual time: its lease, its time-outs, its budget, and what is answered when."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from yarl import URL

from mediaserver.call import Call, End, EndReason, Stream
from mediaserver.config.flow_settings import FlowSettings
from mediaserver.errors import CallControlError
from mediaserver.handlers.noise import Silence
from mediaserver.routing.audiosocket_ports import Port
from mediaserver.routing.route import Route
from mediaserver.server.flows.call import Fetch, FlowCall
from mediaserver.wire.encapsulation import WireSettings
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.virtual import VirtualLoop, in_virtual_time

SETTINGS = {"public_url": "https://media.example.com/flow", "secret": "s", "media_host": "media.example.com"}
FULL = ({"type": "talk", "option": {"text": "Sorry"}}, {"type": "hangup"})
FIRST = Fetch("flow", "call")


class Stage:
    """A flow's call, and its stream, once `dial` is called."""

    def __init__(self, loop: VirtualLoop, executed: int = 0, **settings: Any) -> None:
        self.loop = loop
        self.freed: list[tuple[float, bool]] = []  # when the port was freed, and whether it had been dialled
        self.over: list[float] = []
        self.reported: list[tuple[str, dict]] = []
        self.hung_up: list[tuple[float, str]] = []  # calls that are to be hung up at once
        route = Route("/menu", Silence, {}, WireSettings(), flow=True, flow_full=FULL)
        self.call = FlowCall(
            FIRST,
            Stream("id", "/menu", "flow", call="call"),
            Port(9100, URL("/menu"), route, {}),
            Silence(),
            "https://media.example.com/flow/s/menu",
            FlowSettings.model_validate(SETTINGS | settings),
            lambda dialled: self.freed.append((loop.time(), dialled)),
            lambda call: self.over.append(loop.time()),
            lambda stream, kind, data: self.reported.append((str(kind), dict(data))),
            lambda call: self.hung_up.append((loop.time(), call)),
            executed,
        )
        self.round = 0
        self.caller: Caller | None = None
        self._running: asyncio.Task[None] | None = None

    def dial(self, run: Callable[[Call], Any]) -> None:
        """Asterisk dials the port, and the handler runs."""
        self.caller = Caller(self.loop, library_of())
        session = self.caller.session
        session.control = self.call.control

        async def serve() -> None:
            try:
                if (await session.run(run(session.call))).reason is EndReason.FINISHED:
                    await session.drain()
            finally:
                self.call.on_stream_over()

        self._running = asyncio.create_task(serve())
        self.call.on_stream_begun(session)

    async def fetch(self, digits: str = "", complete: bool = True) -> list[dict]:
        """The answer to the next fetch, without ids."""
        fetch = Fetch("flow", "call", self.round, digits, complete)
        self.round += 1
        return [
            {key: value for key, value in each.items() if key != "id"} for each in await self.call.answer(fetch)
        ]

    async def end(self) -> None:
        """Nothing of the call is left: no timer, and no task."""
        if self._running is not None and self.caller is not None:
            self.caller.session.finish(End(EndReason.PEER_CLOSED, 1000))
            await asyncio.wait((self._running,))
        self.call.close()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not self.loop.waiting


def types(answer: list[dict]) -> list[str]:
    return [action["type"] for action in answer]


@in_virtual_time
async def test_a_port_that_is_never_dialled_is_freed(loop: VirtualLoop) -> None:
    stage = Stage(loop)
    assert types(await stage.fetch()) == [
        *("answer", "external_media_start", "variable_set", "digits_receive", "fetch")
    ]
    await asyncio.sleep(9.9)
    assert types(await stage.fetch()) == ["digits_receive", "fetch"]
    assert stage.freed == []
    await asyncio.sleep(0.2)
    assert stage.freed == [(10.0, False)]
    assert stage.reported == [
        ("flow.failed", {"reason": "not-dialled", "why": "Asterisk has not dialled media.example.com:9100"})
    ]
    assert await stage.fetch() == list(FULL)
    assert stage.over == []
    await asyncio.sleep(31)
    assert stage.over == [pytest.approx(40.1)]  # until then the last fetch may be repeated
    await stage.end()


@in_virtual_time
async def test_a_flow_that_asks_no_more_ends_its_stream(loop: VirtualLoop) -> None:
    """So a call is over whose media channel Asterisk has forgotten to end."""
    stage = Stage(loop)
    await stage.fetch()
    stage.dial(lambda call: call.silence())
    await asyncio.sleep(11.9)  # two seconds of the round, and ten of grace
    assert stage.freed == []
    await asyncio.sleep(0.2)
    assert stage.caller is not None
    end = stage.caller.session.end
    assert (end.reason, end.text) == (EndReason.PEER_HUNG_UP, "the flow of the call has stopped asking")  # type: ignore[union-attr]
    assert stage.over == [12.0]
    await stage.end()
    assert [dialled for _, dialled in stage.freed] == [True]


@in_virtual_time
async def test_an_answer_waits_for_a_decision_and_not_for_a_handler_that_waits(loop: VirtualLoop) -> None:
    stage = Stage(loop)
    await stage.fetch()

    async def run(call: Call) -> None:
        await call.collect_digits(1, timeout=60)
        await call.collect_digits(1, timeout=5)
        await asyncio.sleep(0.3)  # a webhook, perhaps
        call.transfer("extension:100")

    stage.dial(run)
    await asyncio.sleep(1)
    assert await stage.fetch("1") == [receive(2, 5200), fetch(2)]
    assert loop.time() == 1.0
    answer = await stage.fetch("12")
    assert answer == [
        {"type": "connect", "option": {"destinations": [{"type": "extension", "target": "100"}]}},
    ]
    assert loop.time() == pytest.approx(1.3, abs=0.05)
    assert stage.caller is not None
    assert stage.caller.backend.events_of("flow.decided") == [{"actions": ["connect"], "executed": 8}]
    await stage.end()


def receive(length: int, duration: int) -> dict:
    return {"type": "digits_receive", "option": {"length": length, "key": "", "duration": duration}}


def fetch(number: int) -> dict:
    url = f"https://media.example.com/flow/s/menu?flow_round={number}&flow_digits=${{voipbin.call.digits}}&flow_end=1"
    return {"type": "fetch", "option": {"event_url": url, "event_method": "POST"}}


@in_virtual_time
async def test_a_fetch_is_held_for_no_longer_than_voipbin_waits(loop: VirtualLoop) -> None:
    stage = Stage(loop)
    await stage.fetch()

    async def run(call: Call) -> None:
        await asyncio.sleep(50)

    stage.dial(run)
    assert await stage.fetch() == [receive(1, 2000), fetch(2)]
    assert loop.time() == pytest.approx(0.4)
    await stage.end()


@in_virtual_time
async def test_a_decision_is_known_when_a_time_out_has_passed(loop: VirtualLoop) -> None:
    """The round ends 0.2 s after the handler's time-out, whatever has been played before."""
    stage = Stage(loop)
    await stage.fetch()

    async def run(call: Call) -> None:
        await call.collect_digits(1, timeout=7)
        call.hang_up()

    stage.dial(run)
    await asyncio.sleep(1)
    answer = await stage.fetch()
    assert answer == [receive(1, 6200), fetch(2)]
    await asyncio.sleep(6.2)
    assert await stage.fetch() == [{"type": "hangup"}]
    assert loop.time() == 7.2
    await stage.end()


@in_virtual_time
async def test_a_call_is_hung_up_at_once_where_no_fetch_is_there(loop: VirtualLoop) -> None:
    stage = Stage(loop)
    await stage.fetch()

    async def run(call: Call) -> None:
        await call.collect_digits(1, timeout=60)
        call.hang_up()

    stage.dial(run)
    await asyncio.sleep(1)
    assert await stage.fetch("1") == [{"type": "hangup"}]
    assert stage.hung_up == []  # the flow has it
    await stage.end()
    stage = Stage(loop)
    await stage.fetch()

    async def pause(call: Call) -> None:
        await asyncio.sleep(0.5)
        call.hang_up()

    stage.dial(pause)
    await asyncio.sleep(1)
    assert stage.hung_up == [(1.5, "call")]
    await stage.end()


@in_virtual_time
async def test_keys_before_the_media_are_typed_ahead(loop: VirtualLoop) -> None:
    stage = Stage(loop)
    await stage.fetch()
    await stage.fetch("12")
    found = []

    async def run(call: Call) -> None:
        found.append((await call.collect_digits(2, timeout=1)).digits)

    stage.dial(run)
    await asyncio.sleep(0.1)
    assert found == ["12"]
    await stage.end()


@in_virtual_time
async def test_repeated_fetches_while_the_answer_is_not_there_yet(loop: VirtualLoop) -> None:
    stage = Stage(loop)
    await stage.fetch()
    heard = []

    async def run(call: Call) -> None:
        await asyncio.sleep(1)
        heard.append(call.keypad.drain_digits())

    stage.dial(run)
    await asyncio.sleep(0.1)
    repeated = Fetch("flow", "call", 1, "1")
    one, other, first = await asyncio.gather(*(stage.call.answer(each) for each in (repeated, repeated, FIRST)))
    assert one == other == first
    await asyncio.sleep(2)
    assert heard == ["1"]
    await stage.end()


@in_virtual_time
async def test_a_flow_that_comes_back_with_too_few_actions_is_ended_without_media(loop: VirtualLoop) -> None:
    stage = Stage(loop, max_actions=25, executed=16)
    assert await stage.fetch() == [{"type": "hangup"}]
    assert stage.freed == [(0.0, False)]
    why = "the flow has too few actions left to begin its media"
    assert stage.reported == [("flow.failed", {"reason": "exhausted", "why": why})]
    await stage.end()


@in_virtual_time
async def test_an_exhausted_flow_is_told_and_then_ended(loop: VirtualLoop) -> None:
    stage = Stage(loop, max_actions=25)
    await stage.fetch()
    told = []

    async def run(call: Call) -> None:
        told.append(await call.until_exhausted(call.silence()))
        await call.silence()

    stage.dial(run)
    rounds = 0
    while types(answer := await stage.fetch()) == ["digits_receive", "fetch"]:
        rounds += 1
        await asyncio.sleep(answer[0]["option"]["duration"] / 1000)
        assert told == [False] * (rounds > 2)
    assert answer == [{"type": "hangup"}]
    assert rounds == 7
    assert stage.caller is not None
    end = stage.caller.session.end
    assert end == End(EndReason.TIME_LIMIT, 1008, "the flow has no actions left")
    assert stage.caller.backend.events_of("flow.failed") == [
        {"reason": "exhausted", "why": "the flow has no actions left"}
    ]
    await stage.end()


@in_virtual_time
async def test_a_handler_that_returns_or_fails_lets_the_flow_go_on(loop: VirtualLoop) -> None:
    stage = Stage(loop)
    await stage.fetch()
    stage.dial(lambda call: asyncio.sleep(0))
    await asyncio.sleep(0.1)
    assert types(await stage.fetch()) == ["variable_set"]
    await stage.end()


@in_virtual_time
async def test_what_other_streams_cannot_do_is_an_error_of_its_own(loop: VirtualLoop) -> None:
    found = []

    async def run(call: Call) -> None:
        for do in (lambda: call.transfer("+4930123456"), lambda: call.run_actions([{"type": "hangup"}])):
            with pytest.raises(CallControlError) as error:
                do()
            found.append(str(error.value))
        with pytest.raises(ValueError, match="should be a destination"):
            call.transfer("nowhere")

    await Caller(loop, library_of()).call(run, 100)
    assert found == [
        "the call cannot be transferred on this stream: that takes a path with flow = true",
        "the call cannot be given actions on this stream: that takes a path with flow = true",
    ]


@pytest.mark.parametrize("dials", [True, False])
def test_a_call_that_is_over_is_freed_without_a_garbage_collection(dials: bool) -> None:
    held: list[weakref.ref[Any]] = []

    @in_virtual_time
    async def visit(loop: VirtualLoop) -> None:
        stage = Stage(loop)
        await stage.fetch()
        if dials:
            stage.dial(lambda call: call.collect_digits(1, timeout=60))
            await stage.fetch("1")
            assert stage.caller is not None
            held.append(weakref.ref(stage.caller.session))
        await asyncio.sleep(50)
        await stage.end()
        held.append(weakref.ref(stage.call))
        vars(stage).clear()  # the stage has cycles of its own

    gc.collect()
    gc.disable()
    try:
        visit()
        assert [ref() for ref in held] == [None] * (1 + dials)
    finally:
        gc.enable()
