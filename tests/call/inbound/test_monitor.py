"""Inbound media of a session: the hold until the first audio, hang-ups, identities, and the inbound monitor."""

import asyncio
import struct
from collections import Counter

import pytest
from structlog.testing import capture_logs

from mediaserver.call import Call, CloseCode, End, EndReason, InboundProblem, Session, Stream
from mediaserver.call.inbound.monitor import InboundMonitor
from mediaserver.playout.sources.source import Clip, PlaybackResult
from mediaserver.support.timers import Timers
from mediaserver.wire.codec import InboundCodec
from mediaserver.wire.encapsulation import Encapsulation, Framing, WireSettings
from mediaserver.wire.events import Audio
from mediaserver.wire.wire import Wire
from tests.call.caller import Backend, Caller
from tests.handlers.test_handlers import library_of
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time

MESSAGE = WireSettings(framing=Framing.MESSAGE)
SOUND = bytes(range(1, 161))
CLIP = Clip(b"\x01" * 1600)  # five frames


def dialled(settings: WireSettings) -> Wire:
    return Wire(settings, dialled=True)


def session_that_dials(loop: VirtualLoop, settings: WireSettings) -> tuple[Session, VirtualStream, Backend]:
    """A session as an attachment has it, its connection made with a start_timeout of two seconds."""
    stage, backend = VirtualStream(loop, settings), Backend()
    stream = Stream("id", "/path", "peer", resource="calls/1")
    session = Session(stream, stage.wire, library_of(), stage.pacer, loop.time, event_sink=backend)
    session.connect(dialled(settings), stage.transport, 2.0)
    return session, stage, backend


def begin_of_sound(stage: VirtualStream) -> float:
    """When the first frame with sound went out, in milliseconds."""
    return next(at for at, message in stage.transport.sent if any(message[-300:]))


async def play_clip(call: Call) -> None:
    assert await call.play(CLIP) == PlaybackResult(5, complete=True)


UUID = b"\x01\x00\x10" + bytes(16)
FIRST_SOUNDS = [
    (WireSettings(), b"\x10\x00\xa0" + b"\xff" * 160),
    (WireSettings(Encapsulation.SLN), b"\xff" * 160),
    (WireSettings(Encapsulation.RTP), struct.pack(">BBHII", 0x80, 96, 7, 160, 0) + b"\xff" * 160),
]


@pytest.mark.parametrize(("settings", "sound"), FIRST_SOUNDS, ids=["audiosocket", "sln", "rtp"])
@in_virtual_time
async def test_a_greeting_begins_within_a_frame_of_the_first_sound(
    settings: WireSettings, sound: bytes, loop: VirtualLoop
) -> None:
    session, stage, _ = session_that_dials(loop, settings)
    loop.call_later(0.33, session.receive_binary, sound)
    await session.run(play_clip(session.call))
    assert stage.transport.times[:4] == [1, 21, 41, 61]  # silence meanwhile
    assert 330 < begin_of_sound(stage) <= 350
    assert session.frames == len(stage.transport.sent)


@in_virtual_time
async def test_the_hold_of_the_playout_times_out(loop: VirtualLoop) -> None:
    session, stage, _ = session_that_dials(loop, WireSettings())
    await session.run(play_clip(session.call))
    assert 2000 <= begin_of_sound(stage) <= 2020


@pytest.mark.parametrize("message", [UUID, b"\x10\x00\x00", b"\x03\x00\x015"], ids=["uuid", "no sound", "digit"])
@in_virtual_time
async def test_messages_other_than_audio_do_not_end_the_hold(message: bytes, loop: VirtualLoop) -> None:
    session, stage, _ = session_that_dials(loop, WireSettings())
    loop.call_later(0.1, session.receive_binary, message)
    loop.call_later(0.5, session.receive_binary, b"\x10\x00\xa0" + SOUND)
    await session.run(play_clip(session.call))
    assert 500 < begin_of_sound(stage) <= 520


@in_virtual_time
async def test_after_a_reconnect_the_playout_is_held_again_and_continues_in_its_place(loop: VirtualLoop) -> None:
    session, stage, _ = session_that_dials(loop, WireSettings(Encapsulation.SLN))

    def reconnect() -> None:
        session.connect(dialled(session.receiver.wire.settings), stage.transport, 2.0)
        session.resume()

    loop.call_later(0.1, session.receive_binary, b"\xff" * 160)
    loop.call_later(0.15, session.disconnect)
    loop.call_later(0.5, reconnect)
    loop.call_later(0.9, session.receive_binary, b"\xff" * 160)
    await session.run(play_clip(session.call))
    sounding = [at for at, message in stage.transport.sent if any(message[-300:])]
    assert len(sounding) == 5
    assert [at for at in sounding if at < 150] == sounding[:3]
    assert 900 < sounding[3] <= 920
    assert [at for at in stage.transport.times if 150 < at < 500] == []


@pytest.mark.parametrize("listens", [False, True])
@in_virtual_time
async def test_a_peer_s_hang_up_ends_the_stream_with_or_without_a_listener(
    listens: bool, loop: VirtualLoop
) -> None:
    caller = Caller(loop, library_of(), MESSAGE)

    async def run(call: Call) -> None:
        if listens:
            with call.listen(lambda event: None):
                await call.silence()
        await call.silence()

    for _ in range(5):  # by now its codec is known, and sound that nobody listens to is not looked at
        caller.session.receive_binary(b"\x10\x01\x40" + bytes(320))
    end = await caller.call(run, 200, (100, lambda: caller.session.receive_binary(b"\x00\x00\x00")))
    assert end == End(EndReason.PEER_HUNG_UP, CloseCode.NORMAL)
    assert end.normal


@in_virtual_time
async def test_a_uuid_names_the_call(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of(), MESSAGE)
    caller.session.receive_binary(b"\x01\x00\x10" + bytes(range(16)))
    assert caller.session.stream.call == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert caller.session.stream.variables == {"name": "value", "uuid": caller.session.stream.call}


@in_virtual_time
async def test_a_frame_without_a_listener_is_counted_and_not_decoded(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of(), MESSAGE)
    for _ in range(10):
        caller.session.receive_binary(b"\x10\x00\xa0" + SOUND)
    assert caller.session.receiver.received == 10
    assert caller.session.receiver.samples == 3 * 160  # until the codec was settled
    assert caller.session.summary()["inbound"] == "mulaw"
    heard: list[bytes] = []
    with caller.session.call.listen(lambda event: heard.append(event.pcm) if isinstance(event, Audio) else None):
        caller.session.receive_binary(b"\x10\x00\xa0" + SOUND)
    assert len(heard[0]) == 320


# What cannot be right


class Counts:
    """Counts of a peer's messages that follow a script: samples in each second."""

    def __init__(self) -> None:
        self.received = self.samples = 0
        self.silent = False


def reported(per_second: list[int], silent: bool = False, expected_at: int | None = None) -> list[InboundProblem]:
    """The problems that are reported; audio is expected from the start of a second on, or never."""

    async def watch(loop: VirtualLoop) -> list[InboundProblem]:
        counts, told = Counts(), []
        counts.silent = silent
        monitor = InboundMonitor(counts, Timers(), told.append)
        for n, samples in enumerate(per_second):
            if n == expected_at:
                monitor.expect_audio()
            counts.samples += samples
            counts.received += samples > 0
            await VirtualStream(loop, MESSAGE).until((n + 1) * 1000 + 500)
        monitor.stop()
        return told

    return in_virtual_time(watch)()


@pytest.mark.parametrize(
    ("per_second", "told"),
    [
        ([8000] * 30, []),
        ([16_000] * 30, ["double-rate"]),
        ([4000] * 30, ["half-rate"]),
        ([8000, 8000, 0, 0, 0, 32_000, *[8000] * 20], []),  # three seconds of stall and the burst after it
        ([8000, 0, 0, 0, 0, 48_000, 8000], []),
        ([8000, *[0] * 30], ["stopped"]),
        ([8000, *[0] * 6, 8000, *[0] * 6], ["stopped"]),  # once
        ([4000, 8000] * 10, []),
        ([0] * 4, []),
        ([4000] * 4 + [8000] * 4 + [4000] * 4, []),
        ([4000, 4000, 8000] * 3, []),
        ([4000, 4000, 3000] * 5, ["half-rate"]),  # a machine or a network that is late every third second
        ([16_000, 16_000, 9000, 16_000] * 3, ["double-rate"]),
        ([4000] * 5, ["half-rate"]),
        ([16_000] * 4, []),
        ([16_000] * 5 + [4000] * 5 + [0] * 5, ["double-rate", "half-rate", "stopped"]),
    ],
)
def test_an_inbound_problem_is_reported_once(per_second: list[int], told: list[str]) -> None:
    assert reported(per_second) == told


@in_virtual_time
async def test_time_is_counted_from_the_first_message_on(loop: VirtualLoop) -> None:
    """However long the server has run; and nothing is told after its end."""
    stage, counts, told = VirtualStream(loop, MESSAGE), Counts(), []
    await stage.until(100_000)
    counts.silent, counts.received, counts.samples = True, 1, 160
    monitor = InboundMonitor(counts, Timers(), lambda problem: told.append((problem, loop.time())))
    for n in range(9):
        await stage.until(100_500 + n * 1000)
        counts.received += 50
        counts.samples += 8000
    await stage.until(109_900)
    assert told == []
    await stage.until(110_100)
    assert told == [("digital-silence", 110.0)]
    monitor.stop()
    await stage.until(200_000)
    assert len(told) == 1


@in_virtual_time
async def test_audio_that_is_not_decoded_is_not_taken_for_silence(loop: VirtualLoop) -> None:
    stage, counts, told = VirtualStream(loop, MESSAGE), Counts(), []
    counts.silent = True
    monitor = InboundMonitor(counts, Timers(), told.append)
    for n in range(20):
        counts.received, counts.samples = 50 * (n + 1), 50 * (n + 1) * 128 - 1
        await stage.until(n * 1000 + 500)
    monitor.stop()
    assert told == []


@in_virtual_time
async def test_the_checks_of_many_streams_wake_the_event_loop_together(loop: VirtualLoop) -> None:
    timers, checks = Timers(grid=0.02), list[int]()
    await asyncio.sleep(0.0005)
    for _ in range(40):
        InboundMonitor(Counts(), timers, lambda problem: None, lambda: checks.append(round(loop.time() * 1000)))
        await asyncio.sleep(0.001)
    assert len(loop.waiting) == 1
    await asyncio.sleep(3)
    seconds = (1000, 2000, 3000)
    assert Counter(checks) == {s + at: n for s in seconds for at, n in ((0, 10), (20, 20), (40, 10))}


@in_virtual_time
async def test_a_session_has_its_peer_checked_by_the_timers_of_all(loop: VirtualLoop) -> None:
    timers, stage = Timers(), VirtualStream(loop, MESSAGE)
    session = Session(Stream("id", "/", "peer"), stage.wire, library_of(), stage.pacer, loop.time, timers=timers)
    assert len(timers) == 0
    session.receive_binary(b"\x10\x01\x40" + bytes(320))
    assert len(timers) == 1
    session.disconnect()
    assert len(timers) == 0


def test_each_inbound_problem_has_its_hint() -> None:
    assert len({problem.hint for problem in InboundProblem}) == len(InboundProblem)


def test_digital_silence_is_reported_after_ten_seconds() -> None:
    assert reported([8000] * 9, silent=True) == []
    assert reported([8000] * 20, silent=True) == ["digital-silence"]


@pytest.mark.parametrize(
    ("per_second", "expected_at", "told"),
    [
        ([0] * 4, 0, []),
        ([0] * 5, 0, ["no-audio"]),
        ([0] * 30, 0, ["no-audio"]),  # once, and it neither stopped nor is it silence
        ([0] * 30, None, []),  # nobody listens
        ([0] * 8, 3, []),
        ([0] * 9, 3, ["no-audio"]),
        ([0, 0, 0, 0, 160, *[0] * 3], 0, []),
        (
            [0] * 8 + [8000] * 9,
            0,
            ["no-audio"],
        ),  # it began after all, with silence: ten seconds of that are trouble
        ([0] * 8 + [8000] * 12, 0, ["no-audio", "digital-silence"]),
    ],
)
def test_missing_audio_is_reported_where_audio_is_expected(
    per_second: list[int], expected_at: int | None, told: list[str]
) -> None:
    assert reported(per_second, silent=True, expected_at=expected_at) == told


@pytest.mark.parametrize("message", [None, UUID, b"\x03\x00\x015"], ids=["nothing", "uuid", "digit"])
@pytest.mark.parametrize("listens", [True, False])
@in_virtual_time
async def test_a_listening_handler_without_audio_is_reported_once(
    loop: VirtualLoop, listens: bool, message: bytes | None
) -> None:
    """A UUID and a key are no sound. A handler that does not listen lacks nothing."""
    caller = Caller(loop, library_of(), MESSAGE)
    caller.quiet = True

    async def run(call: Call) -> None:
        while listens:
            with call.listen(lambda event: None):
                await asyncio.sleep(0.7)
        await call.silence()

    acts = [(100, lambda: caller.session.receive_binary(message))] if message else []
    with capture_logs() as logged:
        told: list[int] = []
        acts += [(at, lambda: told.append(len(caller.backend.events_of("stream.inbound")))) for at in (4900, 6100)]
        await caller.call(run, 30_000, *acts)
    assert told == [0, listens]
    assert caller.backend.events_of("stream.inbound") == [{"problem": "no-audio", "inbound": "auto"}] * listens
    hints = [entry["hint"] for entry in logged if entry["event"] == "inbound media problem"]
    assert len(hints) == listens
    assert all(hint.startswith("no audio received in 5 s, though the handler listens") for hint in hints)


@in_virtual_time
async def test_a_peer_that_sends_audio_has_no_problem(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of(), MESSAGE)
    caller.quiet = True

    async def run(call: Call) -> None:
        with call.listen(lambda event: None):
            await call.silence()

    frame = b"\x10\x01\x40" + bytes(range(160)) * 2
    await caller.call(
        run, 12_000, *[(at, lambda: caller.session.receive_binary(frame)) for at in range(4900, 12_000, 20)]
    )
    assert caller.session.inbound_problems == []


@in_virtual_time
async def test_a_wrong_codec_setting_is_an_event_and_in_the_summary(loop: VirtualLoop) -> None:
    """Linear sound that is taken for µ-law is twice as long as the time it comes in."""
    caller = Caller(loop, library_of(), WireSettings(framing=Framing.PCM, inbound=InboundCodec.MULAW))

    async def run(call: Call) -> None:
        with call.listen(lambda event: None):
            await call.silence()

    await caller.call(run, 8000)
    assert caller.backend.events_of("stream.inbound") == [{"problem": "double-rate", "inbound": "mulaw"}]
    assert caller.session.summary()["inbound_problems"] == ["double-rate"]
