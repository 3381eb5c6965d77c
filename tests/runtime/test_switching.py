"""Switches of streams to other paths: what is settled at the request, while the earlier handler still runs."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from mediaserver.call import Call, End, EndReason
from mediaserver.call.stream import MAX_VARIABLES, Stream
from mediaserver.config.settings import PathSettings, PromptSettings, Settings
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.runtime.engine import Engine
from mediaserver.runtime.switching import switch_stream
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.virtual import VirtualLoop, in_virtual_time

PATHS = {
    "/slow": PathSettings(handler="silence"),
    "/one": PathSettings(handler="silence", max_streams=1),
    "/brief": PathSettings(handler="silence", time_limit=0.3),
}


@contextlib.asynccontextmanager
async def engine_in(folder: Path) -> AsyncIterator[Engine]:
    engine = Engine(Settings(prompts=PromptSettings(directory=folder, cache="off"), paths=PATHS), "c")
    try:
        yield engine
    finally:
        await engine.close()


class SlowCall:
    """A stream on the path `/slow`, whose handler takes 100 ms to end."""

    def __init__(self, loop: VirtualLoop, engine: Engine, name: str = "a") -> None:
        stream = Stream(name, "/slow", "peer", route="/slow", variables={"name": "value"})
        self.caller = Caller(loop, library_of({}), stream=stream)
        self.session, self._engine = self.caller.session, engine
        engine.streams.register(self.session, engine.table.match_route_now(URL("/slow"))[0])

    async def run(self, ms: float, *acts: tuple[float, Any]) -> End | None:
        """Run the call for `ms`, and unregister it."""
        try:
            return await self.caller.call(self._handle, ms, *acts)
        finally:
            self._engine.streams.unregister(self.session)

    async def _handle(self, call: Call) -> None:
        try:
            await call.silence()
        finally:
            await asyncio.sleep(0.1)

    def switch(self, path: str) -> None:
        switch_stream(self._engine, self.session, path, "agent")

    def refused(self, path: str) -> RefusalReason:
        """Why a switch is refused, which changes nothing."""
        before = self.session.stream, self.counts()
        with pytest.raises(RefusedError) as refused:
            self.switch(path)
        assert (self.session.stream, self.counts()) == before
        return refused.value.reason

    @property
    def switched(self) -> list[dict[str, Any]]:
        return self.caller.backend.events_of("stream.switched")

    def counts(self) -> tuple[int, int]:
        """How many streams are on `/slow`, and on `/one`."""
        streams = self._engine.streams
        return streams.count_on_path("/slow"), streams.count_on_path("/one")


@in_virtual_time
async def test_a_place_on_the_other_path_is_taken_at_the_request(loop: VirtualLoop, tmp_path: Path) -> None:
    async with engine_in(tmp_path) as engine:
        calls = [SlowCall(loop, engine, name) for name in "ab"]
        counts: list[tuple[int, int]] = []

        def both_at_once() -> None:
            calls[0].switch("/one")
            assert calls[1].refused("/one") is RefusalReason.PATH_FULL
            counts.append(calls[0].counts())

        other = asyncio.create_task(calls[1].run(300))
        await calls[0].run(
            300,
            (50, both_at_once),
            (130, lambda: counts.append(calls[0].counts())),
            (210, lambda: counts.append(calls[0].counts())),
        )
        await other
        # While the earlier handler ends, it counts on its own path as well.
        assert counts == [(2, 1), (2, 1), (1, 1)]
        assert calls[0].counts() == (0, 0)
        assert [len(call.switched) for call in calls] == [1, 0]


@in_virtual_time
async def test_a_stream_that_ends_before_the_switch_frees_both_places(loop: VirtualLoop, tmp_path: Path) -> None:
    async with engine_in(tmp_path) as engine:
        call = SlowCall(loop, engine)
        counts: list[tuple[int, int]] = []
        end = await call.run(
            300,
            (50, lambda: call.switch("/one")),
            (90, lambda: counts.append(call.counts())),
            (90, lambda: call.session.finish(End(EndReason.HUNG_UP, 1000))),
        )
        assert end == End(EndReason.HUNG_UP, 1000)
        assert (counts, call.counts(), call.switched) == ([(1, 1)], (0, 0), [])


@in_virtual_time
async def test_a_second_switch_waits_for_the_first(loop: VirtualLoop, tmp_path: Path) -> None:
    async with engine_in(tmp_path) as engine:
        call, refused = SlowCall(loop, engine), list[RefusalReason]()
        await call.run(
            300,
            (50, lambda: call.switch("/one")),
            (50, lambda: refused.append(call.refused("/brief"))),
            (130, lambda: refused.append(call.refused("/one"))),
            (210, lambda: call.switch("/slow")),
            (210, lambda: refused.append(call.refused("/slow"))),
        )
        assert refused == [RefusalReason.SWITCHING] * 3
        assert RefusalReason.SWITCHING.status == 409
        assert [told["previous"] for told in call.switched] == ["/slow", "/one"]


@in_virtual_time
async def test_the_time_limit_of_the_other_path_begins_with_its_handler(loop: VirtualLoop, tmp_path: Path) -> None:
    async with engine_in(tmp_path) as engine:
        call, ended = SlowCall(loop, engine), list[float]()
        call.session.over.add_done_callback(lambda _: ended.append(loop.time()))
        await call.run(600, (50, lambda: call.switch("/brief")))
        assert ended == [pytest.approx(0.05 + 0.1 + 0.3)]


@in_virtual_time
async def test_variables_that_are_set_while_the_earlier_handler_ends_are_kept(
    loop: VirtualLoop, tmp_path: Path
) -> None:
    async with engine_in(tmp_path) as engine:
        call = SlowCall(loop, engine)
        await call.run(
            300,
            (50, lambda: call.switch("/one?customer=77&lang=de")),
            (90, lambda: call.session.operator.set_variables({"customer": "78", "vip": "1", "name": None})),
        )
        assert call.session.stream.path == "/one"
        assert call.session.stream.variables == {"customer": "78", "lang": "de", "vip": "1"}


@in_virtual_time
async def test_no_switch_makes_more_variables_than_a_stream_may_have(loop: VirtualLoop, tmp_path: Path) -> None:
    async with engine_in(tmp_path) as engine:
        call = SlowCall(loop, engine)
        query = "&".join(f"v{number}=1" for number in range(MAX_VARIABLES - 1))

        def switch() -> None:
            assert call.refused(f"/one?{query}&more=1") is RefusalReason.BAD_BODY
            call.switch(f"/one?{query}")

        await call.run(300, (50, switch), (190, lambda: call.switch("/slow?name=other&v1=2")))
        assert len(call.session.stream.variables) == MAX_VARIABLES
        assert (call.session.stream.variables["name"], call.session.stream.path) == ("other", "/slow")
