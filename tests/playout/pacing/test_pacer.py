"""Exact bytes at exact times, under virtual time.

A stream that starts at 0 ms gets the slot at 1 ms: its frames are due at 1, 21, 41, … ms.
"""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from mediaserver.audio.pcm import SILENCE
from mediaserver.playout.pacing.alarm import CallAtAlarm
from mediaserver.playout.pacing.ticker import Ticker
from mediaserver.playout.sources.source import Clip, PlaybackResult, Playlist, Repeated, Source
from mediaserver.wire import rtp, websocket
from mediaserver.wire.chan_websocket import MediaFormat
from mediaserver.wire.codec import Codec
from mediaserver.wire.encapsulation import Encapsulation, Encoding, Framing, RtpPayload, WireSettings
from mediaserver.wire.wire import Wire
from tests.virtual import Stage, VirtualLoop, in_virtual_time

PCM = WireSettings(framing=Framing.PCM)


def ahead(lead: int) -> WireSettings:
    return WireSettings(framing=Framing.PCM, lead=lead)


QUIET = websocket.binary(SILENCE)


def frame(number: int) -> bytes:
    """A frame that no other is like."""
    return bytes([number]) * 320


def frames(*numbers: int) -> list[bytes]:
    return [frame(number) for number in numbers]


def source(*numbers: int) -> Source:
    return Source(frames(*numbers))


def heard_on(stage: Stage) -> list[bytes | None]:
    """The frames that were sent; None is silence."""
    return [None if message == QUIET else message[4:] for message in stage.line.messages]


@in_virtual_time
async def test_a_stream_without_a_source_is_silent_on_time(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    await stage.until(100)
    assert stage.line.sent == [(at, QUIET) for at in (1, 21, 41, 61, 81)]
    assert stage.pacer.frames == stage.ticker.frames == 5


@in_virtual_time
async def test_a_source_played_before_the_first_tick_is_the_first_thing_heard(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    done = stage.pacer.play(source(1, 2, 3))
    await stage.until(75)
    assert stage.line.sent == [
        (1, b"\x82\x7e\x01\x40" + frame(1)),
        (21, websocket.binary(frame(2))),
        (41, websocket.binary(frame(3))),
        (61, QUIET),
    ]
    assert await done == PlaybackResult(3, complete=True)


@in_virtual_time
async def test_plays_that_follow_each_other_are_gapless(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()

    async def handler() -> None:
        for numbers in ((1, 2), (3,), (4, 5)):
            await stage.pacer.play(source(*numbers))

    task = asyncio.create_task(handler())
    await stage.until(150)
    await task
    assert heard_on(stage) == [*frames(1, 2, 3, 4, 5), None, None, None]
    assert stage.line.times == [1, 21, 41, 61, 81, 101, 121, 141]


@in_virtual_time
async def test_sources_queue_up(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    all_done = asyncio.gather(*(stage.pacer.play(source(*numbers)) for numbers in ((1, 2), (), (3,))))
    await stage.until(95)
    assert heard_on(stage) == [*frames(1, 2, 3), None, None]
    assert await all_done == [PlaybackResult(2, True), PlaybackResult(0, True), PlaybackResult(1, True)]


@in_virtual_time
async def test_an_empty_source_costs_no_frame(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()

    async def handler() -> PlaybackResult:
        await stage.pacer.play(source(1))
        return await stage.pacer.play(source())

    task = asyncio.create_task(handler())
    await stage.until(70)
    assert heard_on(stage) == [frame(1), None, None, None]
    assert await task == PlaybackResult(0, True)


@in_virtual_time
async def test_repeats_are_seamless(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    clip = Clip(frame(1) + frame(2))
    done = stage.pacer.play(Playlist(Repeated([clip], 3)))
    await stage.until(135)
    assert heard_on(stage) == [*frames(1, 2, 1, 2, 1, 2), None]
    assert await done == PlaybackResult(6, True)


@in_virtual_time
async def test_cancelling_all_is_silence_from_the_next_tick_on(
    loop: VirtualLoop,
) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    playing, queued = stage.pacer.play(source(*range(1, 50))), stage.pacer.play(source(99))
    await stage.until(50)
    stage.pacer.cancel_all()
    await stage.until(95)
    assert heard_on(stage) == [*frames(1, 2, 3), None, None]
    assert await playing == PlaybackResult(3, complete=False)
    assert await queued == PlaybackResult(0, complete=False)


@in_virtual_time
async def test_cancelling_all_and_playing_in_the_same_tick_leaves_no_gap(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    stage.pacer.play(source(1, 2, 3, 4))
    await stage.until(30)
    stage.pacer.cancel_all()
    stage.pacer.play(source(8, 9))
    await stage.until(75)
    assert heard_on(stage) == frames(1, 2, 8, 9)


@in_virtual_time
async def test_cancelling_one_source_lets_the_next_one_begin(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    first = stage.pacer.play(source(1, 2, 3, 4))
    second, third = stage.pacer.play(source(5)), stage.pacer.play(source(6))
    await stage.until(30)
    stage.pacer.cancel(first)
    stage.pacer.cancel(second)
    await stage.until(75)
    assert heard_on(stage) == [*frames(1, 2, 6), None]
    assert await first == PlaybackResult(2, False)
    assert await third == PlaybackResult(1, True)


@in_virtual_time
async def test_stopping_in_the_middle_of_a_slot_sends_nothing_more(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    done = stage.pacer.play(source(*range(1, 50)))
    await stage.until(41)  # within the very tick of the third frame
    stage.pacer.stop()
    await stage.until(200)
    assert stage.line.times == [1, 21, 41]
    assert await done == PlaybackResult(3, False)
    assert stage.pacer.frames == stage.ticker.frames == 3
    assert stage.ticker.streams == 0


@in_virtual_time
async def test_a_frame_due_when_the_stream_stops_is_not_counted(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    await stage.pacer.play(source(1, 2))  # over at 41 ms, when a third frame is due
    stage.pacer.stop()
    await stage.until(100)
    assert stage.line.times == [1, 21]
    assert stage.pacer.frames == stage.ticker.frames == 2


@pytest.mark.parametrize(
    ("lead", "lost", "late", "skipped"),
    [(0, 1, 0, 1), (0, 10, 0, 10), (1, 1, 1, 0), (2, 1, 1, 0), (3, 3, 3, 0), (2, 10, 2, 8), (3, 500, 3, 497)],
)
@in_virtual_time
async def test_lost_ticks_are_caught_up_by_the_lead_and_the_rest_moves_the_schedule(
    lead: int, lost: int, late: int, skipped: int, loop: VirtualLoop
) -> None:
    stage = Stage(loop, ahead(lead))
    stage.pacer.start()
    done = stage.pacer.play(source(*range(1, 20)))
    await stage.until(21)
    loop.stall(20 * lost + 20)  # the frame due at 41 ms, and `lost` more, are not sent on time
    back = 21 + 20 * lost + 20
    await stage.until(back + 50)
    burst = [back] * (1 + late)
    assert stage.line.times == [*[1] * (1 + lead), 21, *burst, back + 20, back + 40]
    assert heard_on(stage) == frames(*range(1, 1 + len(stage.line.times)))  # nothing of the source is dropped
    assert (stage.pacer.late_ticks, stage.pacer.skipped_ticks) == (late, skipped)
    assert (stage.ticker.late_ticks, stage.ticker.skipped_ticks) == (late, skipped)
    stage.pacer.stop()
    assert (await done).frames == len(stage.line.times)
    assert (stage.pacer.late_ticks, stage.pacer.skipped_ticks) == (late, skipped)


@in_virtual_time
async def test_a_source_that_ends_within_a_burst_is_followed_without_a_gap(loop: VirtualLoop) -> None:
    stage = Stage(loop, ahead(3))
    stage.pacer.start()

    async def handler() -> list[PlaybackResult]:
        return [await stage.pacer.play(source(1, 2, 3)), await stage.pacer.play(source(4, 5, 6, 7))]

    task = asyncio.create_task(handler())
    await stage.until(21)
    loop.stall(80)  # four frames are due in one go
    await stage.until(150)
    assert stage.line.times == [1, 1, 1, 1, 21, 101, 101, 101, 101, 121, 141]
    assert heard_on(stage) == [*frames(1, 2, 3, 4, 5, 6, 7), None, None, None, None]
    assert await task == [PlaybackResult(3, True), PlaybackResult(4, True)]


# A lead


@in_virtual_time
async def test_a_stream_begins_as_many_frames_ahead_as_its_lead(loop: VirtualLoop) -> None:
    stage = Stage(loop, ahead(2))
    stage.pacer.start()
    done = stage.pacer.play(source(1, 2, 3, 4))
    await stage.until(75)
    assert stage.line.times == [1, 1, 1, 21, 41, 61]
    assert heard_on(stage) == [*frames(1, 2, 3, 4), None, None]
    assert await done == PlaybackResult(4, True)
    assert stage.pacer.frames == stage.ticker.frames == 6
    assert (stage.pacer.late_ticks, stage.pacer.skipped_ticks) == (0, 0)


@in_virtual_time
async def test_streams_of_different_leads_share_a_moment(loop: VirtualLoop) -> None:
    ticker = Stage(loop, PCM).ticker
    stages = [Stage(loop, ahead(lead), ticker) for lead in (0, 1, 3)]
    for stage in stages:
        stage.pacer.start()
    await stages[0].until(21)
    loop.stall(60)  # the frame due at 41 ms, and two more
    await stages[0].until(90)
    assert [stage.line.times for stage in stages] == [
        [1, 21, 81],
        [1, 1, 21, 81, 81],
        [1, 1, 1, 1, 21, 81, 81, 81],
    ]
    assert [(stage.pacer.late_ticks, stage.pacer.skipped_ticks) for stage in stages] == [(0, 2), (1, 1), (2, 0)]


@in_virtual_time
async def test_the_lead_counts_as_played_where_the_far_end_cannot_flush_it(loop: VirtualLoop) -> None:
    stage = Stage(loop, ahead(2))
    stage.pacer.start()
    done = stage.pacer.play(source(*range(1, 50)))
    await stage.until(45)
    stage.pacer.cancel_all()
    assert await done == PlaybackResult(5, False)
    await stage.until(65)
    assert stage.line.times == [1, 1, 1, 21, 41, 61]  # and the lead stays
    assert heard_on(stage)[-1] is None


@in_virtual_time
async def test_a_far_end_that_flushes_has_not_played_the_lead_and_gets_a_new_one(loop: VirtualLoop) -> None:
    stage = Stage(loop, ahead(2))
    flushed: list[float] = []

    def flush() -> bool:
        flushed.append(loop.time())
        return True

    stage.pacer.flush_peer = flush
    stage.pacer.start()
    first, second = stage.pacer.play(source(*range(1, 50))), stage.pacer.play(source(9))
    await stage.until(45)
    stage.pacer.cancel(first)
    assert flushed == [0.045]
    assert await first == PlaybackResult(3, False)
    await stage.until(65)
    assert stage.line.times == [1, 1, 1, 21, 41, 61, 61, 61]
    assert heard_on(stage)[5:] == [frame(9), None, None]
    assert await second == PlaybackResult(1, True)
    stage.pacer.cancel_all()  # nothing plays
    assert len(flushed) == 1


# Holding what is to be heard, until the far end hears


@in_virtual_time
async def test_a_stream_on_hold_sends_silence_and_begins_within_a_frame_of_its_release(loop: VirtualLoop) -> None:
    stage = Stage(loop, ahead(1))
    stage.pacer.hold()
    stage.pacer.start()
    done = stage.pacer.play(source(1, 2, 3))
    await stage.until(50)
    assert stage.line.sent == [(at, QUIET) for at in (1, 21, 41)]
    stage.pacer.release()
    await stage.until(85)
    assert stage.line.times[3:] == [61, 61, 81]
    assert heard_on(stage)[3:] == frames(1, 2, 3)
    stage.pacer.release()  # once is enough
    await stage.until(105)
    assert stage.line.times[6:] == [101]
    assert await done == PlaybackResult(3, True)


@in_virtual_time
async def test_a_source_that_is_cancelled_on_hold_was_not_played(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.hold()
    stage.pacer.start()
    first, second = stage.pacer.play(source(1, 2)), stage.pacer.play(source(3, 4))
    await stage.until(30)
    stage.pacer.cancel(first)
    stage.pacer.release()
    await stage.until(70)
    assert heard_on(stage) == [None, None, frame(3), frame(4)]
    assert await second == PlaybackResult(2, True)
    assert first.done() is False


@in_virtual_time
async def test_another_connection_may_hold_what_plays_and_it_goes_on_where_it_was(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    done = stage.pacer.play(Playlist([Clip(b"".join(frames(*range(1, 7))))]))
    await stage.until(50)
    stage.pacer.pause()
    await stage.until(100)
    stage.pacer.reconnect(Wire(ahead(1)), stage.line)
    stage.pacer.hold()
    stage.pacer.start()
    await stage.until(150)
    stage.pacer.release()
    await stage.until(230)
    assert heard_on(stage) == [*frames(1, 2, 3), None, None, None, *frames(4, 5, 6), None, None]
    assert stage.line.times[3:] == [101, 121, 141, 161, 161, 181, 201, 221]
    assert await done == PlaybackResult(6, True)


# A far end that is full


@in_virtual_time
async def test_after_xoff_nothing_is_sent_until_xon(loop: VirtualLoop) -> None:
    stage = Stage(loop, ahead(1))
    stage.pacer.start()
    done = stage.pacer.play(source(*range(1, 6)))
    await stage.until(30)
    stage.pacer.xoff()
    await stage.until(200)
    assert stage.line.times == [1, 1, 21]
    stage.pacer.xon()
    stage.pacer.xon()  # once is enough
    await stage.until(250)
    assert stage.line.times == [1, 1, 21, 201, 221, 241]
    assert heard_on(stage) == [*frames(1, 2, 3, 4, 5), None]
    assert await done == PlaybackResult(5, True)


@in_virtual_time
async def test_after_xoff_nothing_is_sent_though_a_slow_connection_has_drained(
    loop: VirtualLoop,
) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    stage.line.held = 10_000
    await stage.until(400)  # slow by now
    sent = len(stage.line.sent)
    stage.pacer.xoff()
    stage.line.held = 0
    await stage.until(800)
    assert len(stage.line.sent) == sent
    stage.pacer.xon()
    await stage.until(850)
    assert len(stage.line.sent) > sent


@in_virtual_time
async def test_a_source_that_fails_raises_in_its_future_and_is_followed_by_silence(loop: VirtualLoop) -> None:
    def broken() -> Iterator[bytes]:
        yield frame(1)
        raise KeyError("no such frame")

    stage = Stage(loop, PCM)
    stage.pacer.start()
    done = stage.pacer.play(Source(broken()))
    await stage.until(65)
    assert heard_on(stage) == [frame(1), None, None, None]
    with pytest.raises(KeyError):
        await done


class EagerlyBroken(Source):
    """Cannot even begin."""

    def __init__(self) -> None:
        super().__init__(())

    def iter_frames(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        raise LookupError("nothing to play")


def breaking_after(*numbers: int) -> Source:
    def give() -> Iterator[bytes]:
        yield from frames(*numbers)
        raise KeyError("no such frame")

    return Source(give())


@pytest.mark.parametrize("queued", [EagerlyBroken, source, breaking_after])
@in_virtual_time
async def test_the_clock_goes_on_whatever_fails_one_after_another(
    queued: Callable[[], Source], loop: VirtualLoop
) -> None:
    stage = Stage(loop, PCM)
    other = Stage(loop, PCM, stage.ticker)
    stage.pacer.start()
    other.pacer.start()
    broken = stage.pacer.play(breaking_after(1, 2))
    after = stage.pacer.play(queued())
    last = stage.pacer.play(source(3))
    await stage.until(500)
    assert heard_on(stage)[:4] == [*frames(1, 2, 3), None]
    assert len(stage.line.sent) == len(other.line.sent) == 25
    assert stage.ticker.frames == 50
    with pytest.raises(KeyError):
        await broken
    if queued is source:
        assert await after == PlaybackResult(0, True)
    else:
        with pytest.raises(LookupError):
            await after
    assert await last == PlaybackResult(1, True)


@in_virtual_time
async def test_a_source_that_cannot_begin_raises_in_its_future(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    await stage.until(30)
    with pytest.raises(LookupError):
        await stage.pacer.play(EagerlyBroken())
    await stage.until(95)
    assert heard_on(stage) == [None] * 5


class Raising(Source):
    """Raises what futures and coroutines do not take, at once or after a frame."""

    def __init__(self, error: type[BaseException], at_once: bool) -> None:
        super().__init__(self._give())
        self._error, self._at_once = error, at_once

    def iter_frames(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        if self._at_once:
            raise self._error
        return super().iter_frames(encoding, start)

    def _give(self) -> Iterator[bytes]:
        yield frame(1)
        raise self._error


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("error", [asyncio.CancelledError, StopIteration, GeneratorExit])
@in_virtual_time
async def test_nothing_that_a_source_raises_silences_its_stream_or_its_neighbours(
    error: type[BaseException], at_once: bool, late: bool, loop: VirtualLoop
) -> None:
    ticker = Ticker(partial(CallAtAlarm, loop), loop.clock, slots=1)
    stage, neighbour = Stage(loop, PCM, ticker), Stage(loop, PCM, ticker)
    stage.pacer.start()
    neighbour.pacer.start()
    await stage.until(50 if late else 0)
    with pytest.raises(RuntimeError):
        await stage.pacer.play(Raising(error, at_once))
    await stage.pacer.play(source(2))
    await stage.until(1010)
    assert len(stage.line.sent) == len(neighbour.line.sent) == stage.pacer.frames == 50
    assert ticker.frames == 100
    assert frame(2) in heard_on(stage)


@pytest.mark.parametrize("late", [False, True])
@in_virtual_time
async def test_an_observer_that_fails_costs_its_own_stream_and_is_reported(late: bool, loop: VirtualLoop) -> None:
    ticker = Ticker(partial(CallAtAlarm, loop), loop.clock, slots=1)
    stage, neighbour = Stage(loop, PCM, ticker), Stage(loop, PCM, ticker)
    told: list[object] = []
    loop.set_exception_handler(lambda loop, context: told.append(context["exception"]))

    def broken(encoding: Encoding, item: bytes) -> None:
        if not late or stage.line.sent:
            raise LookupError("no such watcher")

    with stage.pacer.observe(broken):
        stage.pacer.start()
        neighbour.pacer.start()
        done = stage.pacer.play(source(1, 2, 3))
        await stage.until(500)
        assert heard_on(stage) == (frames(1) if late else [])
        assert len(neighbour.line.sent) == 25
        assert [type(each) for each in told] == [LookupError]
        assert ticker.streams == 1
        with pytest.raises(LookupError):
            await done


@in_virtual_time
async def test_a_frame_of_the_wrong_size_fails_its_source_not_the_stream(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    done = stage.pacer.play(Source([frame(1), bytes(100)]))
    await stage.until(65)
    assert heard_on(stage) == [frame(1), None, None, None]
    with pytest.raises(ValueError, match="a frame of 100 bytes, not 320"):
        await done


@in_virtual_time
async def test_one_streams_fault_does_not_reach_another_in_the_same_slot(loop: VirtualLoop) -> None:
    ticker = Ticker(partial(CallAtAlarm, loop), loop.clock, slots=1)
    gone, well = Stage(loop, PCM, ticker), Stage(loop, PCM, ticker)
    gone.pacer.start()
    well.pacer.start()
    gone.line.closing = True
    await well.until(65)
    assert well.line.times == [20, 40, 60]
    assert gone.line.sent == []
    assert ticker.streams == 1  # the one whose transport is gone has left


@in_virtual_time
async def test_a_slow_peer_pauses_its_stream_where_it_is(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    done = stage.pacer.play(source(*range(1, 40)))
    await stage.until(100)
    stage.line.held = 5000
    await stage.until(1000)
    paused_at = stage.line.times[-1]
    assert paused_at <= 100 + 200  # seen by the next look, ten frames on at the latest
    sent = len(stage.line.sent)
    assert stage.ticker.streams == 0
    stage.line.held = 0
    await stage.until(3000)
    assert heard_on(stage)[: sent + 3] == frames(*range(1, sent + 4))  # it goes on with the very next frame
    assert stage.pacer.stalls == 1
    assert await done == PlaybackResult(39, True)


@pytest.mark.parametrize("gone", ["slow", "full", "away"])
@in_virtual_time
async def test_a_frame_that_is_due_as_the_stream_pauses_is_not_sent_later(gone: str, loop: VirtualLoop) -> None:
    """The source is over in the very tick in which the stream leaves its place: nothing was settled yet."""
    stage = Stage(loop, PCM)
    stage.pacer.start()
    done = stage.pacer.play(source(*range(1, 10)))
    await stage.until(170)
    if gone == "slow":
        stage.line.held = 5000  # seen in the tenth tick, at 181 ms
    assert await done == PlaybackResult(9, True)
    if gone == "full":
        stage.pacer.xoff()
    if gone == "away":
        stage.pacer.pause()
    assert stage.ticker.streams == 0
    await stage.until(300)
    assert stage.pacer.frames == stage.ticker.frames == len(stage.line.sent) == 9
    after = stage.pacer.play(source(10, 11))
    stage.line.held = 0
    stage.pacer.xon()
    stage.pacer.start()
    await stage.until(600)
    assert heard_on(stage)[:12] == [*frames(*range(1, 12)), None]
    assert await after == PlaybackResult(2, True)
    assert stage.pacer.frames == stage.ticker.frames == len(stage.line.sent)


@in_virtual_time
async def test_a_peer_that_takes_nothing_for_too_long_is_reported(loop: VirtualLoop) -> None:
    reported: list[float] = []
    stage = Stage(loop, PCM, on_stalled=lambda: reported.append(loop.time()), stall_timeout=2.0)
    stage.pacer.start()
    stage.line.held = 5000
    await stage.until(10_000)
    assert len(reported) == 1
    assert 2.0 <= reported[0] <= 2.4
    stage.pacer.stop()


@in_virtual_time
async def test_a_slow_peer_has_the_whole_timeout_at_each_stall(loop: VirtualLoop) -> None:
    reported: list[float] = []
    stage = Stage(loop, PCM, on_stalled=lambda: reported.append(loop.time()), stall_timeout=1.0)
    stage.pacer.start()
    for begin in (0, 2000):
        await stage.until(begin + 100)
        stage.line.held = 5000
        await stage.until(begin + 1000)
        stage.line.held = 0  # in time
        await stage.until(begin + 1500)
    assert stage.pacer.stalls == 2
    assert reported == []
    stage.line.held = 5000
    await stage.until(6000)
    assert len(reported) == 1


@in_virtual_time
async def test_bytes_held_back_up_to_the_limit_are_no_stall(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    stage.line.held = 4096
    await stage.until(1000)
    assert stage.pacer.stalls == 0
    assert len(stage.line.sent) == 50


@pytest.mark.parametrize("end", ["pause", "stop"])
@in_virtual_time
async def test_a_paused_or_stopped_stream_does_not_wait_for_its_slow_peer(end: str, loop: VirtualLoop) -> None:
    reported: list[float] = []
    stage = Stage(loop, PCM, on_stalled=lambda: reported.append(loop.time()), stall_timeout=1.0)
    stage.pacer.start()
    stage.line.held = 5000
    await stage.until(500)
    assert stage.pacer.stalls == 1
    getattr(stage.pacer, end)()
    sent = len(stage.line.sent)
    await stage.until(5000)
    assert reported == []
    stage.line.held = 0
    await stage.until(6000)
    assert len(stage.line.sent) == sent
    assert stage.ticker.streams == 0


@in_virtual_time
async def test_xon_does_not_start_a_stream_that_is_not_started_or_paused(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.xon()  # not asked to send yet
    await stage.until(30)
    assert stage.line.sent == []
    stage.pacer.start()
    await stage.until(75)
    sent = len(stage.line.sent)
    stage.pacer.xoff()
    stage.pacer.pause()
    stage.pacer.xon()
    await stage.until(200)
    assert len(stage.line.sent) == sent
    assert stage.ticker.streams == 0


@pytest.mark.parametrize("held", ["slow", "full"])
@in_virtual_time
async def test_another_connection_is_not_held_up_by_the_one_before(held: str, loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    stage.pacer.play(Playlist([Clip(b"".join(frames(*range(1, 30))))]))
    if held == "slow":
        stage.line.held = 5000
        await stage.until(500)
    else:
        await stage.until(190)
        stage.pacer.xoff()
    sent = len(stage.line.sent)
    stage.pacer.pause()
    stage.line.held = 0
    stage.pacer.reconnect(Wire(PCM), stage.line)
    stage.pacer.start()
    await stage.until(570)
    assert len(stage.line.sent) >= sent + 3
    assert heard_on(stage) == frames(*range(1, len(stage.line.sent) + 1))
    await stage.until(700)
    assert stage.pacer.frames == stage.ticker.frames == len(stage.line.sent)


@in_virtual_time
async def test_a_stream_that_stops_does_not_flush_the_far_end(loop: VirtualLoop) -> None:
    stage = Stage(loop, ahead(2))
    asked: list[None] = []

    def flush() -> bool:
        asked.append(None)
        return True

    stage.pacer.flush_peer = flush
    stage.pacer.start()
    done = stage.pacer.play(source(*range(1, 50)))
    await stage.until(45)
    stage.pacer.stop()
    assert asked == []
    assert await done == PlaybackResult(5, False)


@in_virtual_time
async def test_framing_auto_is_settled_by_what_the_peer_says_before_the_first_frame(loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings(framing=Framing.AUTO))
    stage.pacer.start()
    stage.pacer.play(source(1))
    await stage.until(5)
    assert stage.line.sent == []  # it waits at least 10 ms for the peer's word
    stage.observe(b"\x10\x01\x40" + SILENCE)
    await stage.until(25)
    assert stage.line.messages == [websocket.binary(b"\x10\x01\x40" + frame(1))]


@in_virtual_time
async def test_framing_auto_is_raw_pcm_where_the_peer_says_nothing_and_stays_so(loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings(framing=Framing.AUTO))
    stage.pacer.start()
    stage.pacer.play(source(1, 2))
    await stage.until(15)
    stage.observe(b"\x10\x01\x40" + SILENCE)
    await stage.until(45)
    assert stage.line.sent == [(11, websocket.binary(frame(1))), (31, websocket.binary(frame(2)))]


def packets(stage: Stage) -> list[rtp.Packet]:
    return [rtp.parse(message[4:] if message[1] == 126 else message[2:]) for message in stage.line.messages]


@in_virtual_time
async def test_rtp_auto_follows_the_peer_in_mid_prompt_without_losing_its_place(loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings(Encapsulation.RTP))
    stage.pacer.start()
    clip = Clip(b"".join(frames(1, 2, 3, 4, 5)))
    done = stage.pacer.play(Playlist([clip]))
    await stage.until(25)
    stage.observe(rtp.serialize(rtp.Packet(96, 7, 320, 0, SILENCE)))
    await stage.until(115)
    sent = packets(stage)
    assert [packet.payload_type for packet in sent] == [0, 0, 96, 96, 96, 96]
    assert [packet.payload for packet in sent[2:]] == [*frames(3, 4, 5), SILENCE]
    assert [(packet.sequence - sent[0].sequence) % 65536 for packet in sent] == [0, 1, 2, 3, 4, 5]
    assert [(packet.timestamp - sent[0].timestamp) % 2**32 for packet in sent] == [160 * n for n in range(6)]
    assert await done == PlaybackResult(5, True)


@in_virtual_time
async def test_rtp_marks_the_first_packet_of_each_talkspurt(loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings(Encapsulation.RTP, rtp_payload=RtpPayload.L16))
    stage.pacer.start()
    await stage.until(25)  # two frames of silence

    async def handler() -> None:
        await stage.pacer.play(source(1, 2))
        await stage.pacer.play(source(3))  # follows at once: the talkspurt goes on
        await asyncio.sleep(0.03)
        await stage.pacer.play(source(4))

    await handler()
    assert [packet.marker for packet in packets(stage)] == [False, False, True, False, False, False, False, True]


@in_virtual_time
async def test_a_stream_that_begins_with_sound_begins_with_a_marker(loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings(Encapsulation.RTP, rtp_payload=RtpPayload.L16))
    stage.pacer.play(source(1, 2))
    stage.pacer.start()
    await stage.until(45)
    assert [packet.marker for packet in packets(stage)] == [True, False, False]


@in_virtual_time
async def test_on_another_connection_sound_begins_with_a_marker(loop: VirtualLoop) -> None:
    settings = WireSettings(Encapsulation.RTP, rtp_payload=RtpPayload.L16)
    stage = Stage(loop, settings)
    stage.pacer.start()
    stage.pacer.play(Playlist([Clip(b"".join(frames(1, 2, 3, 4)))]))
    await stage.until(25)
    stage.pacer.pause()
    stage.line.sent.clear()
    stage.pacer.reconnect(Wire(settings), stage.line)
    stage.pacer.start()
    await stage.until(75)
    sent = packets(stage)
    assert [packet.payload[0] for packet in sent] == [3, 4, 0]
    assert [packet.marker for packet in sent] == [True, False, False]


@in_virtual_time
async def test_a_source_without_a_frame_leaves_no_marker_on_silence(loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings(Encapsulation.RTP, rtp_payload=RtpPayload.L16))
    stage.pacer.start()
    await stage.until(25)
    await stage.pacer.play(Source([]))
    await stage.until(65)
    stage.pacer.play(Source([]))
    stage.pacer.play(source(1, 2))
    await stage.until(125)
    markers = [packet.marker for packet in packets(stage)]
    assert markers.index(True) == 4
    assert markers.count(True) == 1


@in_virtual_time
async def test_the_marker_is_not_on_silence_and_not_within_a_talkspurt(loop: VirtualLoop) -> None:
    stage = Stage(loop, WireSettings(Encapsulation.RTP, rtp_payload=RtpPayload.L16))
    stage.pacer.start()
    await stage.until(10)
    stage.pacer.play(source(9))
    stage.pacer.cancel_all()  # before its first frame was sent
    await stage.until(30)
    stage.pacer.play(source(1, 2, 3))
    await stage.until(70)
    stage.pacer.cancel_all()
    stage.pacer.play(source(4, 5))  # in the same tick: there was no silence
    await stage.until(110)
    sent = packets(stage)
    assert [packet.payload[0] for packet in sent] == [0, 0, 1, 2, 4, 5]
    assert [packet.marker for packet in sent] == [False, False, True, False, False, False]


class LateSource(Source):
    """A live source that has its first two frames too late."""

    def __init__(self) -> None:
        super().__init__(self._give())

    def _give(self) -> Iterator[bytes]:
        for _ in range(2):
            self.underruns += 1
            yield SILENCE
        yield from frames(1, 2, 3)


@in_virtual_time
async def test_underruns_are_counted_and_do_not_count_as_played(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    assert await stage.pacer.play(LateSource()) == PlaybackResult(3, True)
    assert stage.pacer.underruns == 2
    assert heard_on(stage)[:5] == [None, None, *frames(1, 2, 3)]
    again = stage.pacer.play(LateSource())
    await stage.until(150)
    assert not again.done()
    assert stage.pacer.underruns == 4  # also while it plays
    assert await again == PlaybackResult(3, True)
    assert stage.pacer.underruns == 4


@in_virtual_time
async def test_a_tick_that_is_settled_twice_begins_no_source_twice(loop: VirtualLoop) -> None:
    """A source ends, the stream leaves its place and takes it again, and another tick comes, all in one turn."""
    stage = Stage(loop, PCM)
    other = Stage(loop, PCM, stage.ticker)
    stage.pacer.start()
    played = [stage.pacer.play(source(*numbers)) for numbers in ((1, 2), (3, 4, 5), (6, 7))]
    await stage.until(41)
    stage.pacer.xoff()
    stage.pacer.xon()
    loop.stall(20)
    other.pacer.start()
    await stage.until(400)
    assert [message for message in heard_on(stage) if message] == frames(1, 2, 3, 4, 5, 6, 7)
    assert [await done for done in played] == [
        PlaybackResult(2, True),
        PlaybackResult(3, True),
        PlaybackResult(2, True),
    ]


@in_virtual_time
async def test_observers_are_told_of_frames_that_the_far_end_has_flushed(loop: VirtualLoop) -> None:
    stage = Stage(loop, ahead(3))
    stage.pacer.flush_peer = lambda: True
    kept: list[bytes] = []

    def recalled(count: int) -> None:
        del kept[-count:]

    with stage.pacer.observe(lambda encoding, item: kept.append(encoding.decode(item)), recalled):
        stage.pacer.start()
        stage.pacer.play(source(*range(1, 50)))
        await stage.until(65)
        stage.pacer.cancel_all()
        assert kept == frames(1, 2, 3, 4)
        await stage.until(85)
    assert len(kept) == 4 + 1 + 3  # and it runs ahead anew


@in_virtual_time
async def test_an_observer_added_in_mid_source_sees_frames_from_the_next_one_on(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    told: list[int] = []
    stage.pacer.start()
    stage.pacer.play(Playlist([Clip(b"".join(frames(*range(1, 10))))]))
    await stage.until(25)
    with stage.pacer.observe(lambda encoding, item: told.append(item[4])):
        await stage.until(65)
    await stage.until(105)
    assert told == [3, 4]
    assert heard_on(stage) == frames(1, 2, 3, 4, 5, 6)


@in_virtual_time
async def test_a_removed_observer_sees_no_more_frames_and_others_still_do(loop: VirtualLoop) -> None:
    stage = Stage(loop, ahead(1))
    stage.pacer.flush_peer = lambda: True
    first, second, recalls = [], [], []
    stage.pacer.start()
    stage.pacer.play(source(*range(1, 50)))
    with stage.pacer.observe(lambda encoding, item: second.append(item[4]), recalls.append):
        with stage.pacer.observe(lambda encoding, item: first.append(item[4]), recalls.append):
            await stage.until(25)
        await stage.until(45)
        stage.pacer.cancel_all()
    await stage.until(85)
    assert first == [1, 2, 3]
    assert second == [1, 2, 3, 4]
    assert recalls == [1]


@pytest.mark.parametrize(("closing", "sent"), [(False, [frame(1) + frame(2), frame(3) + SILENCE]), (True, [])])
@in_virtual_time
async def test_a_partial_frame_is_sent_unless_the_connection_is_closed(
    closing: bool, sent: list[bytes], loop: VirtualLoop
) -> None:
    stage = Stage(loop, PCM)
    stage.wire.set_media_format(MediaFormat("slin", Codec.SLIN, 8000, 640))
    if not closing:
        stage.pacer.start()
    stage.pacer.play(source(1, 2, 3))
    await stage.until(50)
    stage.line.closing = closing
    stage.pacer.stop()
    stage.pacer.write_partial_frame()
    stage.pacer.write_partial_frame()  # once is enough
    assert [message[4:] for message in stage.line.messages if message] == sent
