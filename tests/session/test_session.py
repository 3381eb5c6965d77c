"""Sessions under virtual time: what a handler does, and what the peer gets and when."""

import asyncio

import pytest

from mediaserver.audio.pcm import SILENCE
from mediaserver.playout.library import PromptLibrary
from mediaserver.playout.sources import Clip, Heard, Playlist, Repeated, Source
from mediaserver.playout.workers import DecodePool
from mediaserver.session import MAX_EVENTS, CloseCode, End, EndReason, Session, Stream
from mediaserver.wire import audiosocket
from mediaserver.wire.encapsulation import Framing, WireSettings
from mediaserver.wire.events import Audio, Digit
from tests.virtual import Stage, VirtualLoop, in_virtual_time

ENDLESS = Playlist(Repeated([Clip(bytes([1]) * 320)], None))


def session_on(stage: Stage, tmp_path) -> Session:
    stream = Stream("id", "/path", "peer", {}, {})
    library = PromptLibrary(tmp_path, 1, DecodePool())
    return Session(stream, stage.wire, library, stage.pacer, stage.loop.time)


def spoken(stage: Stage) -> list[int]:
    """The first byte of each frame's sound; 0 is silence."""
    return [message[-1] for message in stage.line.messages]


@in_virtual_time
async def test_a_handler_plays_and_returns(tmp_path, loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings(framing=Framing.PCM))
    session = session_on(stage, tmp_path)

    async def work() -> None:
        assert await session.play(Clip(b"\x01" * 640)) == Heard(2, complete=True)
        assert await session.play(Source([b"\x02" * 320])) == Heard(1, complete=True)

    assert await session.run(work()) == End(EndReason.FINISHED, CloseCode.NORMAL)
    await stage.until(200)
    assert spoken(stage) == [1, 1, 2]  # the first frame at the first tick, and none after the end
    assert stage.line.times == [1, 21, 41]
    assert session.summary() | {"wire": ""} == {
        "path": "/path",
        "peer": "peer",
        "wire": "",
        "inbound": "auto",
        "frames": 3,
        "duration_s": 0.2,
        "late": 0,
        "skipped": 0,
        "underruns": 0,
        "stalls": 0,
        "received": 0,
        "malformed": 0,
        "texts": 0,
        "dropped": 0,
        "reason": "finished",
        "code": 1000,
    }


@in_virtual_time
async def test_a_handler_that_raises_ends_its_stream_with_1011(tmp_path, loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings())
    session = session_on(stage, tmp_path)

    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await session.run(work())
    assert session.end == End(EndReason.ERROR, CloseCode.INTERNAL_ERROR)
    assert stage.ticker.streams == 0


@in_virtual_time
async def test_finishing_cancels_the_handler_and_the_first_reason_stands(tmp_path, loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings())
    session = session_on(stage, tmp_path)
    running = asyncio.create_task(session.run(session.silence()))
    await stage.until(100)
    session.finish(End(EndReason.PEER_CLOSED, 1000))
    session.finish(End(EndReason.DRAINED, 1001))
    assert await running == End(EndReason.PEER_CLOSED, 1000)
    assert stage.ticker.streams == 0


@in_virtual_time
async def test_a_handler_may_close_with_a_code_of_its_own(tmp_path, loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings())
    session = session_on(stage, tmp_path)

    async def work() -> None:
        session.close(4000, "no such menu")
        await session.silence()

    assert await session.run(work()) == End(EndReason.FINISHED, 4000, "no such menu")


@in_virtual_time
async def test_a_handler_may_close_as_the_last_thing_it_does(tmp_path, loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings())
    session = session_on(stage, tmp_path)

    async def work() -> None:
        session.close(4000, "bye")

    async def shell() -> str:
        await session.run(work())
        await asyncio.sleep(0.1)  # the shell's own work after it is not cancelled
        return "done"

    assert await asyncio.create_task(shell()) == "done"
    assert session.end == End(EndReason.FINISHED, 4000, "bye")


@in_virtual_time
async def test_a_session_that_is_over_before_it_began_does_no_work(tmp_path, loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings())
    session = session_on(stage, tmp_path)
    session.finish(End(EndReason.PEER_CLOSED, 1000))
    assert await session.run(session.silence()) == End(EndReason.PEER_CLOSED, 1000)
    await stage.until(100)
    assert stage.line.sent == []


@in_virtual_time
async def test_a_handler_cancelled_by_its_own_doing_has_failed(tmp_path, loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings())
    session = session_on(stage, tmp_path)

    async def work() -> None:
        task = asyncio.create_task(asyncio.sleep(10))
        task.cancel()
        await task

    with pytest.raises(RuntimeError, match="nobody ended its stream"):
        await session.run(work())
    assert session.end == End(EndReason.ERROR, 1011)


@in_virtual_time
async def test_cancelling_a_play_stops_its_source(tmp_path, loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings(framing=Framing.PCM))
    session = session_on(stage, tmp_path)

    async def work() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.play(ENDLESS), 0.05)
        await session.play(Source([b"\x02" * 320]))

    await session.run(work())
    assert spoken(stage) == [1, 1, 1, 2]


@in_virtual_time
async def test_clear_tells_how_much_was_heard(tmp_path, loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings(framing=Framing.PCM))
    session = session_on(stage, tmp_path)

    async def work() -> None:
        playing = asyncio.create_task(session.play(ENDLESS))
        await asyncio.sleep(0.1)
        session.clear()
        heard = await playing
        assert heard == Heard(5, complete=False)
        assert heard.seconds == 0.1

    await session.run(work())


@in_virtual_time
async def test_events_are_decoded_for_a_listener_only(tmp_path, loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings(framing=Framing.MESSAGE))
    session = session_on(stage, tmp_path)
    digit = audiosocket.serialize(audiosocket.Message(audiosocket.Kind.DTMF, b"5"))
    sound = audiosocket.serialize(audiosocket.Message(audiosocket.Kind.SLIN, SILENCE))
    session.receive(digit)  # nobody listens: nothing is kept
    heard = []

    async def listen() -> None:
        async for event in session.events():
            heard.append(event)
            if len(heard) == 2:
                return

    task = asyncio.create_task(listen())
    await asyncio.sleep(0)
    for message in (b"\x03\xff", sound, digit):
        session.receive(message)
    await task
    assert heard == [Audio(SILENCE), Digit("5")]
    assert (session.hearing.received, session.hearing.malformed, session.hearing.dropped) == (4, 1, 0)


@in_virtual_time
async def test_a_listener_that_lags_behind_loses_the_oldest(tmp_path, loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings(framing=Framing.PCM))
    session = session_on(stage, tmp_path)
    events = session.events()
    first = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    for n in range(MAX_EVENTS + 10):
        session.receive(bytes([n % 250]) * 320)
    assert await first == Audio(bytes([10]) * 320)
    assert session.hearing.dropped == 10
    await events.aclose()


def test_a_close_frames_text_is_cut_to_what_it_may_hold() -> None:
    assert len(End(EndReason.ERROR, 1011, "x" * 500).message) == 123
    assert End(EndReason.ERROR, 1011, "é" * 500).message.decode() == "é" * 61  # never half a character
