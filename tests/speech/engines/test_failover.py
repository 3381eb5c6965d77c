"""Failover among engines: shares of the time-out, and health that is remembered for a minute."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from structlog.testing import capture_logs

from mediaserver.errors import EngineError, RejectedError
from mediaserver.speech.engines.failover import Failover, is_ready
from tests.virtual import VirtualLoop, in_virtual_time

# What an engine does: the seconds after which it answers, or its error.
Script = float | Exception


async def request(
    failover: Failover, engines: dict[str, Script], timeout: float = 4.0, ready: Sequence[str] = ("a", "b", "c")
) -> list[Any]:
    """Make one request. Returns each engine that was tried with its seconds, and what came of the request."""
    tried: list[Any] = []
    attempts = failover.attempts(tuple(engines), timeout, lambda engine: engine in ready)
    for attempt in attempts:
        with attempt:
            tried.append((attempt.engine, attempt.seconds_left))
            script = engines[attempt.engine]
            if isinstance(script, Exception):
                raise script
            try:
                async with asyncio.timeout(attempt.seconds_left):
                    await asyncio.sleep(script)
            except TimeoutError:
                raise EngineError(f"nothing within {attempt.allotted}") from None
            return [*tried, "answered"]
    return [*tried, str(attempts.failure())]


@in_virtual_time
async def test_the_first_engine_that_answers_serves_the_request(loop: VirtualLoop) -> None:
    assert await request(Failover("speech"), {"a": 1.0, "b": 0.0}) == [("a", 2.0), "answered"]


@in_virtual_time
async def test_engines_share_the_timeout_and_the_last_one_has_the_rest(loop: VirtualLoop) -> None:
    assert await request(Failover("speech"), {"a": 9.0, "b": 9.0, "c": 0.5}) == [
        ("a", 2.0), ("b", 1.0), ("c", 1.0), "answered",
    ]  # fmt: skip
    assert loop.time() == 3.5
    why = "a: nothing within 2 s; b: refused"
    assert await request(Failover("speech"), {"a": 9.0, "b": EngineError("refused")}) == [
        ("a", 2.0), ("b", 2.0), why,
    ]  # fmt: skip


@in_virtual_time
async def test_a_request_that_begins_after_its_time_has_no_time_less_than_none(loop: VirtualLoop) -> None:
    attempts = Failover("speech").attempts(("a",), 4.0)
    await asyncio.sleep(5)  # as an event loop does that is late
    for attempt in attempts:
        with attempt:
            assert attempt.seconds_left == 0
            raise EngineError(f"nothing within {attempt.allotted}")
    assert str(attempts.failure()) == "nothing within 0 s"


@in_virtual_time
async def test_a_single_engine_has_all_the_time_and_is_always_tried(loop: VirtualLoop) -> None:
    failover = Failover("speech")
    for _ in range(3):
        assert await request(failover, {"a": 9.0}, ready=()) == [("a", 4.0), "nothing within 4 s"]
    assert failover.failures == {"a": 3}


@in_virtual_time
async def test_an_engine_that_failed_is_passed_over_for_exactly_a_minute(loop: VirtualLoop) -> None:
    failover = Failover("speech")
    engines: dict[str, Script] = {"a": EngineError("down"), "b": 0.0}
    assert await request(failover, engines) == [("a", 2.0), ("b", 4.0), "answered"]
    engines["a"] = 0.0
    for at in (0.001, 30.0, 59.999):
        await asyncio.sleep(at - loop.time())
        assert await request(failover, engines) == [("b", 4.0), "answered"]
    assert failover.health == {"a": False, "b": True}
    await asyncio.sleep(60.0 - loop.time())
    assert await request(failover, engines) == [("a", 2.0), "answered"]
    assert failover.health == {"a": True, "b": True}


@in_virtual_time
async def test_after_the_minute_one_request_tries_the_engine_while_others_pass_it_over(loop: VirtualLoop) -> None:
    failover = Failover("speech")
    engines: dict[str, Script] = {"a": EngineError("down"), "b": 0.0}
    await request(failover, engines)
    await asyncio.sleep(60)
    engines["a"] = 9.0
    trial = asyncio.ensure_future(request(failover, engines))
    await asyncio.sleep(1)
    assert await request(failover, engines) == [("b", 4.0), "answered"]
    assert await trial == [("a", 2.0), ("b", 2.0), "answered"]
    await asyncio.sleep(59.999)  # a minute from the failed trial on
    assert await request(failover, engines) == [("b", 4.0), "answered"]


@in_virtual_time
async def test_a_trial_that_is_cancelled_leaves_the_next_request_to_try(loop: VirtualLoop) -> None:
    failover = Failover("speech")
    engines: dict[str, Script] = {"a": EngineError("down"), "b": 0.0}
    await request(failover, engines)
    await asyncio.sleep(60)
    engines["a"] = 1.0
    trial = asyncio.ensure_future(request(failover, engines))
    await asyncio.sleep(0.5)
    trial.cancel()
    await asyncio.wait([trial])
    assert await request(failover, engines) == [("a", 2.0), "answered"]
    assert failover.failures == {"a": 1, "b": 0}


@in_virtual_time
async def test_engines_that_have_all_failed_are_tried_in_order(loop: VirtualLoop) -> None:
    failover = Failover("speech")
    engines: dict[str, Script] = {"a": EngineError("one"), "b": EngineError("two")}
    for _ in range(2):
        assert await request(failover, engines) == [("a", 2.0), ("b", 4.0), "a: one; b: two"]
    engines["b"] = 0.0
    assert await request(failover, engines) == [("a", 2.0), ("b", 4.0), "answered"]


@in_virtual_time
async def test_an_engine_that_was_passed_over_is_the_last_resort(loop: VirtualLoop) -> None:
    """It gets what is left of the time, and takes nothing from the engine that is healthy."""
    failover = Failover("speech")
    await request(failover, {"a": EngineError("down"), "b": 0.0})
    assert await request(failover, {"a": 0.0, "b": EngineError("down")}) == [("b", 4.0), ("a", 4.0), "answered"]
    failover = Failover("speech")
    await request(failover, {"a": EngineError("down"), "b": 0.0})
    assert await request(failover, {"a": 0.0, "b": 9.0}) == [("b", 4.0), "nothing within 4 s"]


@in_virtual_time
async def test_a_rejected_request_goes_to_the_next_engine_and_harms_no_health(loop: VirtualLoop) -> None:
    failover = Failover("speech")
    engines: dict[str, Script] = {"a": RejectedError("no German"), "b": 0.0}
    for _ in range(2):
        assert await request(failover, engines) == [("a", 2.0), ("b", 4.0), "answered"]
    assert failover.health == {"a": True, "b": True}
    assert failover.failures == {"a": 0, "b": 0}


@in_virtual_time
async def test_an_engine_that_is_still_starting_is_passed_over(loop: VirtualLoop) -> None:
    failover = Failover("speech")
    assert await request(failover, {"a": 0.0, "b": 0.0}, ready="b") == [("b", 4.0), "answered"]
    assert await request(failover, {"a": 0.0, "b": 0.0}, ready="") == [("a", 2.0), "answered"]


@in_virtual_time
async def test_a_change_of_health_is_one_line_of_the_log(loop: VirtualLoop) -> None:
    failover = Failover("speech")
    engines: dict[str, Script] = {"a": EngineError("down"), "b": EngineError("down, too")}
    with capture_logs() as logged:
        for _ in range(50):
            await request(failover, engines)
        engines["b"] = 0.0
        for _ in range(200):  # two minutes, in which the second engine works
            await request(failover, engines)
            await asyncio.sleep(0.6)
    assert [(line["event"], line["engine"], line["log_level"]) for line in logged] == [
        ("engine failed", "a", "warning"),
        ("engine failed", "b", "warning"),
        ("engine recovered", "b", "info"),
    ]
    assert (logged[0]["kind"], logged[0]["why"]) == ("speech", "down")


@in_virtual_time
async def test_a_request_that_is_cancelled_when_its_time_is_over_is_a_failure(loop: VirtualLoop) -> None:
    """A caller that hangs up earlier says nothing about the engine."""
    failover = Failover("speech")
    for seconds, failures in ((3.9, 0), (4.0, 1)):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(request(failover, {"a": 9.0}, timeout=4.0), seconds)
        assert failover.failures == {"a": failures}


def test_an_engine_that_was_never_started_is_started() -> None:
    class Engine:
        not_ready_reason = "is starting"
        started = False

        def preload(self) -> None:
            self.started = True

    engine = Engine()
    assert not is_ready(engine)
    assert engine.started
    engine.not_ready_reason = ""
    assert is_ready(engine)
