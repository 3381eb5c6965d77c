"""Sessions under virtual time: what a handler does, and which frames the peer gets when."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import SILENCE
from mediaserver.call import MAX_EVENTS, CloseCode, End, EndReason, Session, Stream, wire_facts
from mediaserver.call.control.peer_control import AudioSocketControl
from mediaserver.playout.decoding.pool import DecodePool
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.playout.sources.live import LiveSource
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.playout.sources.source import Clip, PlaybackResult, Source
from mediaserver.wire import audiosocket, websocket
from mediaserver.wire.encapsulation import Carrier, Encapsulation, Framing, WireSettings
from mediaserver.wire.events import Audio, Digit
from mediaserver.wire.wire import Wire
from tests.call.caller import Backend
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time

ENDLESS = Playlist(Repeated([Clip(bytes([1]) * 320)], None))


def session_on(stage: VirtualStream, tmp_path) -> Session:
    stream = Stream("id", "/path", "peer", {}, {})
    library = PromptLibrary(tmp_path, 1, DecodePool())
    return Session(stream, stage.wire, library, stage.pacer, stage.loop.time)


def spoken(stage: VirtualStream) -> list[int]:
    """The first byte of each frame's sound; 0 is silence."""
    return [message[-1] for message in stage.transport.messages]


@pytest.mark.parametrize("held", [1, MAX_EVENTS, MAX_EVENTS + 3])
@in_virtual_time
async def test_messages_before_the_handler_listens_are_buffered_for_it(
    tmp_path, loop: VirtualLoop, held: int
) -> None:
    """In its order before what comes later; where it is too much the oldest gives way, and is counted."""
    stage = VirtualStream(loop, WireSettings(framing=Framing.PCM))
    session = session_on(stage, tmp_path)
    session.hold_inbound()
    frames = [n.to_bytes(2, "little") * 160 for n in range(1, held + 3)]
    for frame in frames[:held]:
        session.receive_binary(frame)
    heard: list[bytes] = []

    async def work() -> None:
        with session.call.listen(lambda event: heard.append(event.pcm) if isinstance(event, Audio) else None):
            session.receive_binary(frames[held])  # in the same turn of the loop
            await asyncio.sleep(0.02)
            session.receive_binary(frames[held + 1])
            await asyncio.sleep(0.02)

    await session.run(work())
    assert heard == frames[max(0, held + 1 - MAX_EVENTS) :]
    assert session.receiver.dropped == max(0, held + 1 - MAX_EVENTS)


@in_virtual_time
async def test_the_buffer_of_first_messages_is_bounded_in_bytes(tmp_path, loop: VirtualLoop) -> None:
    stage = VirtualStream(loop, WireSettings(framing=Framing.PCM))
    session = session_on(stage, tmp_path)
    session.hold_inbound()
    for _ in range(12):
        session.receive_binary(bytes(60_000))
    heard: list[int] = []

    async def work() -> None:
        with session.call.listen(lambda event: heard.append(len(event.pcm)) if isinstance(event, Audio) else None):
            await asyncio.sleep(0.02)

    await session.run(work())
    assert heard == [60_000] * 8  # of 512 KB
    assert session.receiver.dropped == 4


@in_virtual_time
async def test_a_handler_plays_and_returns(tmp_path, loop: VirtualLoop) -> None:
    stage = VirtualStream(loop, WireSettings(framing=Framing.PCM))
    session = session_on(stage, tmp_path)

    async def work() -> None:
        assert await session.call.play(Clip(b"\x01" * 640)) == PlaybackResult(2, complete=True)
        assert await session.call.play(Source([b"\x02" * 320])) == PlaybackResult(1, complete=True)

    assert await session.run(work()) == End(EndReason.FINISHED, CloseCode.NORMAL)
    await stage.until(200)
    assert spoken(stage) == [1, 1, 2]  # the first frame at the first tick, and none after the end
    assert stage.transport.times == [1, 21, 41]
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
    stage = VirtualStream(loop, WireSettings())
    session = session_on(stage, tmp_path)

    async def work() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await session.run(work())
    assert session.end == End(EndReason.ERROR, CloseCode.INTERNAL_ERROR)
    assert stage.ticker.streams == 0


@in_virtual_time
async def test_finishing_cancels_the_handler_and_the_first_reason_stands(tmp_path, loop: VirtualLoop) -> None:
    stage = VirtualStream(loop, WireSettings())
    session = session_on(stage, tmp_path)
    running = asyncio.create_task(session.run(session.call.silence()))
    await stage.until(100)
    session.finish(End(EndReason.PEER_CLOSED, 1000))
    session.finish(End(EndReason.DRAINED, 1001))
    assert await running == End(EndReason.PEER_CLOSED, 1000)
    assert stage.ticker.streams == 0


@in_virtual_time
async def test_a_handler_may_close_with_a_code_of_its_own(tmp_path, loop: VirtualLoop) -> None:
    stage = VirtualStream(loop, WireSettings())
    session = session_on(stage, tmp_path)

    async def work() -> None:
        session.call.close(4000, "no such menu")
        await session.call.silence()

    assert await session.run(work()) == End(EndReason.FINISHED, 4000, "no such menu")


@in_virtual_time
async def test_a_handler_may_close_as_the_last_thing_it_does(tmp_path, loop: VirtualLoop) -> None:
    stage = VirtualStream(loop, WireSettings())
    session = session_on(stage, tmp_path)

    async def work() -> None:
        session.call.close(4000, "bye")

    async def shell() -> str:
        await session.run(work())
        await asyncio.sleep(0.1)  # the shell's own work after it is not cancelled
        return "done"

    assert await asyncio.create_task(shell()) == "done"
    assert session.end == End(EndReason.FINISHED, 4000, "bye")


@in_virtual_time
async def test_a_session_that_ended_before_it_began_does_not_run_its_handler(tmp_path, loop: VirtualLoop) -> None:
    stage = VirtualStream(loop, WireSettings())
    session = session_on(stage, tmp_path)
    session.finish(End(EndReason.PEER_CLOSED, 1000))
    await stage.until(50)
    assert await session.run(session.call.silence()) == End(EndReason.PEER_CLOSED, 1000)
    await stage.until(100)
    assert stage.transport.sent == []


@in_virtual_time
async def test_a_handler_that_cancels_itself_has_failed(tmp_path, loop: VirtualLoop) -> None:
    stage = VirtualStream(loop, WireSettings())
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
    stage = VirtualStream(loop, WireSettings(framing=Framing.PCM))
    session = session_on(stage, tmp_path)

    async def work() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(session.call.play(ENDLESS), 0.05)
        await session.call.play(Source([b"\x02" * 320]))

    await session.run(work())
    assert spoken(stage) == [1, 1, 1, 0, 2]
    assert stage.transport.messages[3][4:] == fade_out(b"\x01" * 320)


@in_virtual_time
async def test_clear_has_play_return_how_much_was_sent(tmp_path, loop: VirtualLoop) -> None:
    stage = VirtualStream(loop, WireSettings(framing=Framing.PCM))
    session = session_on(stage, tmp_path)

    async def work() -> None:
        playing = asyncio.create_task(session.call.play(ENDLESS))
        await asyncio.sleep(0.1)
        session.call.clear()
        heard = await playing
        assert heard == PlaybackResult(5, complete=False)
        assert heard.seconds == 0.1

    await session.run(work())


@in_virtual_time
async def test_events_are_decoded_for_a_listener_only(tmp_path, loop: VirtualLoop) -> None:
    stage = VirtualStream(loop, WireSettings(framing=Framing.MESSAGE))
    session = session_on(stage, tmp_path)
    digit = audiosocket.serialize(audiosocket.Message(audiosocket.Kind.DTMF, b"5"))
    sound = audiosocket.serialize(audiosocket.Message(audiosocket.Kind.SLIN, SILENCE))
    session.receive_binary(digit)  # nobody listens: nothing is kept
    heard = []

    async def listen() -> None:
        async for event in session.call.events():
            heard.append(event)
            if len(heard) == 2:
                return

    task = asyncio.create_task(listen())
    await asyncio.sleep(0)
    for message in (b"\x03\xff", sound, digit):
        session.receive_binary(message)
    await task
    assert heard == [Audio(SILENCE), Digit("5")]
    assert (session.receiver.received, session.receiver.malformed, session.receiver.dropped) == (4, 1, 0)


@in_virtual_time
async def test_a_listener_that_lags_behind_loses_the_oldest(tmp_path, loop: VirtualLoop) -> None:
    stage = VirtualStream(loop, WireSettings(framing=Framing.PCM))
    session = session_on(stage, tmp_path)
    events = session.call.events()
    first = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    for n in range(MAX_EVENTS + 10):
        session.receive_binary(bytes([n % 250]) * 320)
    assert await first == Audio(bytes([10]) * 320)
    assert session.receiver.dropped == 10
    assert isinstance(events, AsyncGenerator)
    await events.aclose()


def test_a_close_frames_text_is_cut_to_what_it_may_hold() -> None:
    assert len(End(EndReason.ERROR, 1011, "x" * 500).message) == 123
    assert End(EndReason.ERROR, 1011, "é" * 500).message.decode() == "é" * 61  # never half a character


# -- its beginning and its end -----------------------------------------------------------------------


@in_virtual_time
async def test_a_session_whose_task_is_cancelled_ends_as_drained(tmp_path, loop: VirtualLoop) -> None:
    """As a shutdown does: the end is known, and the caller of `run` goes on to say it."""
    stage = VirtualStream(loop, WireSettings())
    session = session_on(stage, tmp_path)
    running = asyncio.create_task(session.run(session.call.silence()))
    await stage.until(100)
    assert not session.over.done()
    running.cancel()
    assert await running == End(EndReason.DRAINED, CloseCode.GOING_AWAY)
    assert session.over.done()
    assert stage.ticker.streams == 0


@in_virtual_time
async def test_an_end_that_was_given_stands_where_the_handler_fails_after_it(tmp_path, loop: VirtualLoop) -> None:
    session = session_on(VirtualStream(loop, WireSettings()), tmp_path)

    async def work() -> None:
        session.call.close(4000, "bye")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await session.run(work())
    assert session.end == End(EndReason.FINISHED, 4000, "bye")


@in_virtual_time
async def test_waiters_for_the_end_of_a_session_are_woken_at_once(tmp_path, loop: VirtualLoop) -> None:
    session = session_on(VirtualStream(loop, WireSettings()), tmp_path)
    running = asyncio.create_task(session.run(session.call.silence()))
    loop.call_later(0.3, session.finish, End(EndReason.HUNG_UP, 1000))
    await session.over
    assert loop.time() == 0.3
    await running


@in_virtual_time
async def test_after_its_end_no_timer_and_no_listener_is_left(tmp_path, loop: VirtualLoop) -> None:
    stage = VirtualStream(loop, WireSettings(framing=Framing.PCM))
    session = session_on(stage, tmp_path)
    session.connect(stage.wire, stage.transport, 5.0)
    session.receive_binary(SILENCE)  # it is watched from now on
    heard: list[object] = []
    session.receiver.add_listener(heard.append)
    await session.run(asyncio.sleep(0.1))
    assert loop.waiting == []
    session.receive_binary(SILENCE)
    session.receiver.push_event(Digit("1"))
    assert heard == []
    assert loop.waiting == []
    assert session.receiver.received == 2


@pytest.mark.parametrize(("hangs_up", "ends"), [(False, b""), (True, websocket.binary(audiosocket.HANGUP))])
@pytest.mark.parametrize(("framing", "says"), [(Framing.MESSAGE, True), (Framing.PCM, False)])
@in_virtual_time
async def test_a_call_is_hung_up_where_the_handler_asked_for_it_and_the_wire_can_say_so(
    hangs_up: bool, ends: bytes, framing: Framing, says: bool, tmp_path, loop: VirtualLoop
) -> None:
    stage, said = VirtualStream(loop, WireSettings(framing=framing)), []
    session = session_on(stage, tmp_path)
    session.control = AudioSocketControl(stage.wire, said.append)
    if hangs_up:
        session.call.hang_up()
    await session.drain()
    assert b"".join(said) == (ends if says else b"")


# -- how it speaks -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("first", "size"), [(b"\x10\x01\x40" + SILENCE, 323), (SILENCE, 320)])
@in_virtual_time
async def test_a_peer_s_first_message_settles_our_wire_format_in_mid_prompt(
    first: bytes, size: int, tmp_path, loop: VirtualLoop
) -> None:
    """Where we dialled; else our own first frame has settled it."""
    stage = VirtualStream(loop, WireSettings())
    session = session_on(stage, tmp_path)
    session.connect(Wire(WireSettings(), dialled=True), stage.transport)
    running = asyncio.create_task(session.run(session.call.silence()))
    await stage.until(50)
    session.receive_binary(first)
    await stage.until(110)
    session.receive_binary(
        SILENCE if size == 323 else b"\x10\x01\x40" + SILENCE
    )  # another of another kind changes nothing
    await stage.until(150)
    sizes = [len(message) - 4 for message in stage.transport.messages]
    assert sizes[3:] == [size] * 5
    assert session.receiver.malformed == 1  # nor how it is heard
    session.call.close()
    await running


@in_virtual_time
async def test_a_peer_that_sends_before_our_first_frame_settles_our_wire_format(
    tmp_path, loop: VirtualLoop
) -> None:
    stage = VirtualStream(loop, WireSettings())
    session = session_on(stage, tmp_path)
    session.receive_binary(b"\x10\x01\x40" + SILENCE)
    await session.run(asyncio.sleep(0.03))
    assert [len(message) - 4 for message in stage.transport.messages] == [323, 323]


@in_virtual_time
async def test_the_first_audio_settles_the_wire_format_where_other_messages_come_before(
    tmp_path, loop: VirtualLoop
) -> None:
    stage = VirtualStream(loop, WireSettings())
    session = session_on(stage, tmp_path)
    session.connect(Wire(WireSettings(), carrier=Carrier.TCP), stage.transport)
    session.receive_binary(b"\x03\x00\x015")
    session.receive_binary(b"\x12\x02\x80" + bytes(640))
    session.receive_binary(b"\x10\x01\x40" + SILENCE)  # no more
    await session.run(asyncio.sleep(0.03))
    assert [message[:3] for message in stage.transport.messages] == [b"\x12\x02\x80"] * 2


@in_virtual_time
async def test_a_media_start_is_an_unknown_text_where_we_cannot_send_texts(tmp_path, loop: VirtualLoop) -> None:
    session = session_on(VirtualStream(loop, WireSettings()), tmp_path)
    session.receive_text(
        "MEDIA_START connection_id:a channel:b channel_id:c format:ulaw optimal_frame_size:160 ptime:20"
    )
    assert (session.texts, session.stream.call, session.end) == (1, "", None)


@in_virtual_time
async def test_the_first_audio_ends_the_hold_of_the_playout(tmp_path, loop: VirtualLoop) -> None:
    stage = VirtualStream(loop, WireSettings(framing=Framing.PCM))
    session = session_on(stage, tmp_path)
    session.connect(stage.wire, stage.transport, 60.0)
    loop.call_later(0.1, session.receive_binary, SILENCE)

    async def work() -> None:
        await asyncio.sleep(0.2)
        assert [timer for timer in loop.waiting if timer.when() > 10] == []

    await session.run(work())


# -- one connection after another --------------------------------------------------------------------


@in_virtual_time
async def test_without_a_connection_the_playout_keeps_its_place(tmp_path, loop: VirtualLoop) -> None:
    stage = VirtualStream(loop, WireSettings(framing=Framing.PCM))
    session = session_on(stage, tmp_path)
    heard: list[object] = []

    async def work() -> None:
        with session.call.listen(heard.append):
            assert (await session.call.play(Clip(bytes([1]) * 320 * 10))).frames == 10

    running = asyncio.create_task(session.run(work()))
    await stage.until(90)
    assert (session.connected, session.reconnects, spoken(stage)) == (True, 0, [1] * 5)
    session.receive_binary(SILENCE)
    session.disconnect()
    await stage.until(1090)
    assert (session.connected, len(stage.transport.sent)) == (False, 5)
    session.connect(Wire(stage.wire.settings), stage.transport)
    assert session.connected
    session.resume()
    await running
    assert session.reconnects == 1
    assert spoken(stage) == [1] * 10
    assert heard == [Audio(SILENCE), Audio(bytes(320 * 50), concealed=True)]


@in_virtual_time
async def test_the_hold_of_a_broken_connection_does_not_hold_a_later_one(tmp_path, loop: VirtualLoop) -> None:
    stage = VirtualStream(loop, WireSettings(framing=Framing.PCM))
    session = session_on(stage, tmp_path)
    session.connect(stage.wire, stage.transport, 1.0)
    running = asyncio.create_task(session.run(session.call.silence()))
    playing = asyncio.create_task(session.call.play(Clip(bytes([1]) * 320 * 5)))
    await stage.until(500)
    session.disconnect()
    session.connect(Wire(stage.wire.settings), stage.transport, 2.0)  # its first sound is waited for until 2500 ms
    session.resume()
    await stage.until(2490)
    assert not any(spoken(stage))
    await stage.until(2700)
    assert next(at for at, message in stage.transport.sent if message[-1]) == pytest.approx(2501, abs=20)
    await playing
    session.disconnect()
    session.connect(Wire(stage.wire.settings), stage.transport)  # and nothing is here
    session.resume()
    playing = asyncio.create_task(session.call.play(Clip(bytes([2]) * 320)))
    await stage.until(2800)
    assert spoken(stage)[-5:].count(2) == 1
    session.call.close()
    await running


@in_virtual_time
async def test_an_inbound_problem_is_reported_once_over_all_connections(tmp_path, loop: VirtualLoop) -> None:
    stage, backend = VirtualStream(loop, WireSettings(framing=Framing.PCM)), Backend()
    library = PromptLibrary(tmp_path, 1, DecodePool())
    session = Session(
        Stream("id", "/path", "peer"), stage.wire, library, stage.pacer, loop.time, event_sink=backend
    )
    running = asyncio.create_task(session.run(session.call.silence()))
    for _ in range(2):
        session.receive_binary(SILENCE)
        await asyncio.sleep(8)
        session.disconnect()
        await asyncio.sleep(8)  # nobody watches
        session.connect(Wire(stage.wire.settings), stage.transport)
        session.resume()
    assert [data["problem"] for data in backend.events_of("stream.inbound")] == ["stopped"]
    assert session.inbound_problems == ["stopped"]
    session.call.close()
    await running


# -- what is known of it -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "call"),
    [
        (Stream("id", "/", "peer"), "00010203-0405-0607-0809-0a0b0c0d0e0f"),
        (Stream("id", "/", "peer", call="theirs"), "theirs"),
        (Stream("id", "/", "peer", resource="calls/1"), ""),
    ],
)
@in_virtual_time
async def test_a_uuid_names_a_call_that_has_no_name(
    stream: Stream, call: str, tmp_path, loop: VirtualLoop
) -> None:
    stage = VirtualStream(loop, WireSettings(framing=Framing.MESSAGE))
    library = PromptLibrary(tmp_path, 1, DecodePool())
    session = Session(stream, stage.wire, library, stage.pacer, loop.time)
    session.receive_binary(b"\x01\x00\x10" + bytes(range(16)))
    assert session.stream.call == call
    assert session.stream.variables == {"uuid": "00010203-0405-0607-0809-0a0b0c0d0e0f"}


@in_virtual_time
async def test_a_variable_of_the_path_overrides_the_peer_s_uuid(tmp_path, loop: VirtualLoop) -> None:
    stage = VirtualStream(loop, WireSettings(framing=Framing.MESSAGE))
    library = PromptLibrary(tmp_path, 1, DecodePool())
    stream = Stream("id", "/", "peer", variables={"uuid": "mine"})
    session = Session(stream, stage.wire, library, stage.pacer, loop.time)
    session.receive_binary(b"\x01\x00\x10" + bytes(16))
    assert session.stream.variables == {"uuid": "mine"}


@in_virtual_time
async def test_a_summary_has_the_facts_of_a_stream(tmp_path, loop: VirtualLoop) -> None:
    stage = VirtualStream(loop, WireSettings(Encapsulation.SLN))
    library = PromptLibrary(tmp_path, 1, DecodePool())
    stream = Stream("id", "/path", "peer", resource="calls/1", call="theirs")
    session = Session(stream, stage.wire, library, stage.pacer, loop.time)
    session.receiver.received, session.receiver.malformed, session.receiver.dropped = 5, 6, 7
    session.reconnects, session.lost = 8, 9
    session.receive_text("what?")
    session.receive_text("what?")
    summary = session.summary()
    said = {"path": "/path", "peer": "peer", "call": "theirs", "resource": "calls/1"}
    sent = {"frames": 0, "duration_s": 0.0, "late": 0, "skipped": 0, "underruns": 0, "stalls": 0}
    came = {"received": 5, "malformed": 6, "texts": 2, "dropped": 7, "reconnects": 8, "lost": 9}
    assert summary == said | sent | came | wire_facts(session.receiver.wire) | {"reason": None, "code": None}
    await asyncio.sleep(1.2345)
    session.call.close(4000, "why not")
    summary = session.summary()
    told = {key: summary[key] for key in ("duration_s", "reason", "code", "why")}
    assert told == {
        "duration_s": pytest.approx(1.234, abs=0.001),
        "reason": "finished",
        "code": 4000,
        "why": "why not",
    }


@in_virtual_time
async def test_a_summary_counts_late_and_skipped_frames(tmp_path, loop: VirtualLoop) -> None:
    stage = VirtualStream(loop, WireSettings(framing=Framing.PCM))
    session = session_on(stage, tmp_path)

    async def work() -> None:
        live = LiveSource(0)
        playing = asyncio.create_task(session.call.play(live))
        live.push_audio(bytes(320) * 2)
        await stage.until(110)
        playing.cancel()
        playing = asyncio.create_task(session.call.play(ENDLESS))
        await stage.until(150)
        loop.stall(60)
        await asyncio.sleep(0.1)
        loop.stall(200)
        await asyncio.sleep(0.1)
        stage.transport.buffered = 1_000_000
        await asyncio.sleep(0.5)
        stage.transport.buffered = 0
        await asyncio.sleep(0.1)

    await session.run(work())
    summary = session.summary()
    told = {key: summary[key] for key in ("late", "skipped", "underruns", "stalls")}
    assert told == {"late": 0, "skipped": 11, "underruns": 1, "stalls": 1}


@pytest.mark.parametrize(
    ("stream", "kind", "subject"),
    [
        (Stream("id", "/a/b/", "peer"), "a/b", "id"),
        (Stream("id", "/a", "peer", resource="calls/1/2"), "calls", "1/2"),
        (Stream("id", "/", "peer"), "", "id"),
    ],
)
def test_the_kind_and_the_subject_of_a_stream(stream: Stream, kind: str, subject: str) -> None:
    assert (stream.kind, stream.subject) == (kind, subject)


@pytest.mark.parametrize(
    ("reason", "code", "normal"),
    [
        ("peer-closed", 1000, True),
        ("peer-closed", 1005, True),
        ("peer-closed", 1001, False),
        ("finished", 4000, True),
        ("hung-up", 1000, True),
        ("peer-hung-up", 1000, True),
        ("drained", 1001, False),
        ("error", 1011, False),
        ("peer-vanished", 1006, False),
    ],
)
def test_which_ends_are_normal(reason: str, code: int, normal: bool) -> None:
    assert End(EndReason(reason), code).normal is normal
