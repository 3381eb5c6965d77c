"""An utterance that an STT engine fails to recognise is recognised by the next one, from its beginning."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from mediaserver.call.inbound.endpointing import Utterance
from mediaserver.errors import EngineError
from mediaserver.speech.engines.failover import Failover
from mediaserver.speech.stt.failover import FailoverStt
from mediaserver.speech.stt.interface import Recognition
from tests.virtual import VirtualLoop, in_virtual_time

FRAMES = 50  # of an utterance: one second


class ScriptedStt:
    """Fails after `fails_at` bytes with an error, or gives its name `seconds` after the end of the audio."""

    def __init__(self, name: str, seconds: float = 0.0, fails_at: int | None = None) -> None:
        self.name, self.seconds, self.fails_at = name, seconds, fails_at
        self.heard: list[bytes] = []
        self.not_ready_reason = ""

    async def recognise(
        self, audio: AsyncIterator[bytes], on_partial: Callable[[str], None], language: str = ""
    ) -> Recognition:
        self.heard.append(b"")
        async for pcm in audio:
            self.heard[-1] += pcm
            on_partial(self.name)
            if self.fails_at is not None and len(self.heard[-1]) >= self.fails_at:
                raise EngineError("died")
        await asyncio.sleep(self.seconds)
        return Recognition(self.name)

    def preload(self) -> None:
        pass

    async def close(self) -> None:
        pass


async def recognise(
    *engines: ScriptedStt, timeout: float = 2.0, unfit: str = "", failover: Failover | None = None
) -> tuple[str, list[str]]:
    """Have an utterance of a second recognised while it is spoken. Returns its words, and the partial results."""
    stt = FailoverStt(
        {engine.name: engine for engine in engines},
        failover or Failover("recognition"),
        timeout,
        lambda engine, language: "no German" if engine == unfit else "",
    )
    loop, partials = asyncio.get_running_loop(), []
    utterance = Utterance(1, 0.0, loop.time)
    transcribing = asyncio.ensure_future(utterance.transcribe(stt, timeout, partials.append))
    for number in range(FRAMES):
        utterance.push_frame(bytes([number]) * 320)
        await asyncio.sleep(0.02)
    utterance.finish()
    return (await transcribing).text, partials


WHOLE = b"".join(bytes([number]) * 320 for number in range(FRAMES))


@pytest.mark.parametrize("fails_at", [1, len(WHOLE) // 2, len(WHOLE)])
@in_virtual_time
async def test_the_next_engine_gets_the_utterance_from_its_beginning(loop: VirtualLoop, fails_at: int) -> None:
    one, two = ScriptedStt("one", fails_at=fails_at), ScriptedStt("two", 0.1)
    words, partials = await recognise(one, two)
    assert words == "two"
    assert two.heard == [WHOLE]
    assert loop.time() == pytest.approx(1.1)  # what was said before is not waited for again
    assert partials == ["one"] * partials.count("one") + ["two"] * partials.count("two")


@in_virtual_time
async def test_engines_share_the_time_after_the_end_of_the_utterance(loop: VirtualLoop) -> None:
    assert (await recognise(ScriptedStt("one", 9.0), ScriptedStt("two", 0.9)))[0] == "two"
    assert loop.time() == pytest.approx(1.0 + 1.0 + 0.9)


@in_virtual_time
async def test_where_no_engine_is_in_time_the_request_fails_in_time(loop: VirtualLoop) -> None:
    failover = Failover("recognition")
    with pytest.raises(EngineError, match=r"no words within 2 s of the end$"):
        await recognise(ScriptedStt("one", 9.0), ScriptedStt("two", 9.0), failover=failover)
    assert loop.time() == pytest.approx(3.0)
    assert failover.health == {"one": False, "two": False}
    with pytest.raises(EngineError, match=r"^one: died; two: died$"):
        await recognise(ScriptedStt("one", fails_at=1), ScriptedStt("two", fails_at=1))


@in_virtual_time
async def test_a_single_engine_has_all_of_the_time(loop: VirtualLoop) -> None:
    assert (await recognise(ScriptedStt("one", 1.9)))[0] == "one"
    failover = Failover("recognition")
    with pytest.raises(EngineError, match=r"^no words within 2 s of the end$"):
        await recognise(ScriptedStt("one", 9.0), failover=failover)
    assert failover.failures == {"one": 1}


@in_virtual_time
async def test_an_engine_without_the_language_is_left_out(loop: VirtualLoop) -> None:
    one, failover = ScriptedStt("one"), Failover("recognition")
    assert (await recognise(one, ScriptedStt("two"), unfit="one", failover=failover))[0] == "two"
    assert one.heard == []
    assert failover.health == {"one": True, "two": True}


@in_virtual_time
async def test_engines_are_ready_once_one_of_them_is(loop: VirtualLoop) -> None:
    engines: dict[str, Any] = {name: ScriptedStt(name) for name in ("one", "two")}
    stt = FailoverStt(engines, Failover("recognition"), 1.0, lambda engine, language: "")
    for engine in engines.values():
        engine.not_ready_reason = "is starting"
    assert stt.not_ready_reason == "one is starting, two is starting"
    engines["two"].not_ready_reason = ""
    assert stt.not_ready_reason == ""
