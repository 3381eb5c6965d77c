"""What a stream sends at each tick, exact bytes at exact times, under virtual time.

A stream that starts at 0 ms gets the slot at 1 ms: its frames are due at 1, 21, 41, … ms.
"""

import asyncio
from collections.abc import Iterator

from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import SILENCE
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.playout.sources.source import Clip, PlaybackResult, Source
from mediaserver.wire import websocket
from tests.playout.pacing.frames import PCM, QUIET, ahead, frame, frames, sent_frames, source
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time


@in_virtual_time
async def test_a_stream_without_a_source_is_silent_on_time(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    await stream.until(100)
    assert stream.transport.sent == [(at, QUIET) for at in (1, 21, 41, 61, 81)]
    assert stream.pacer.frames == stream.ticker.frames == 5


@in_virtual_time
async def test_a_source_played_before_the_first_tick_is_the_first_thing_heard(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    done = stream.pacer.play(source(1, 2, 3))
    await stream.until(75)
    assert stream.transport.sent == [
        (1, b"\x82\x7e\x01\x40" + frame(1)),
        (21, websocket.binary(frame(2))),
        (41, websocket.binary(frame(3))),
        (61, QUIET),
    ]
    assert await done == PlaybackResult(3, complete=True)


@in_virtual_time
async def test_plays_that_follow_each_other_are_gapless(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()

    async def handler() -> None:
        for numbers in ((1, 2), (3,), (4, 5)):
            await stream.pacer.play(source(*numbers))

    task = asyncio.create_task(handler())
    await stream.until(150)
    await task
    assert sent_frames(stream) == [*frames(1, 2, 3, 4, 5), None, None, None]
    assert stream.transport.times == [1, 21, 41, 61, 81, 101, 121, 141]


@in_virtual_time
async def test_sources_queue_up(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    all_done = asyncio.gather(*(stream.pacer.play(source(*numbers)) for numbers in ((1, 2), (), (3,))))
    await stream.until(95)
    assert sent_frames(stream) == [*frames(1, 2, 3), None, None]
    assert await all_done == [PlaybackResult(2, True), PlaybackResult(0, True), PlaybackResult(1, True)]


@in_virtual_time
async def test_an_empty_source_costs_no_frame(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()

    async def handler() -> PlaybackResult:
        await stream.pacer.play(source(1))
        return await stream.pacer.play(source())

    task = asyncio.create_task(handler())
    await stream.until(70)
    assert sent_frames(stream) == [frame(1), None, None, None]
    assert await task == PlaybackResult(0, True)


@in_virtual_time
async def test_repeats_are_seamless(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    clip = Clip(frame(1) + frame(2))
    done = stream.pacer.play(Playlist(Repeated([clip], 3)))
    await stream.until(135)
    assert sent_frames(stream) == [*frames(1, 2, 1, 2, 1, 2), None]
    assert await done == PlaybackResult(6, True)


@in_virtual_time
async def test_cancelling_all_is_silence_after_a_fade(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    playing, queued = stream.pacer.play(source(*range(1, 50))), stream.pacer.play(source(99))
    await stream.until(50)
    stream.pacer.cancel_all()
    await stream.until(95)
    assert sent_frames(stream) == [*frames(1, 2, 3), fade_out(frame(4)), None]
    assert await playing == PlaybackResult(3, complete=False)
    assert await queued == PlaybackResult(0, complete=False)


@in_virtual_time
async def test_cancelling_all_and_playing_in_the_same_tick_leaves_no_gap(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    stream.pacer.play(source(1, 2, 3, 4))
    await stream.until(30)
    stream.pacer.cancel_all()
    stream.pacer.play(source(8, 9))
    await stream.until(95)
    assert sent_frames(stream) == [*frames(1, 2), fade_out(frame(3)), *frames(8, 9)]


@in_virtual_time
async def test_cancelling_one_source_lets_the_next_one_begin(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    first = stream.pacer.play(source(1, 2, 3, 4))
    second, third = stream.pacer.play(source(5)), stream.pacer.play(source(6))
    await stream.until(30)
    stream.pacer.cancel(first)
    stream.pacer.cancel(second)
    await stream.until(95)
    assert sent_frames(stream) == [*frames(1, 2), fade_out(frame(3)), frame(6), None]
    assert await first == PlaybackResult(2, False)
    assert await third == PlaybackResult(1, True)


@in_virtual_time
async def test_a_source_that_ends_within_a_burst_is_followed_without_a_gap(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, ahead(3))
    stream.pacer.start()

    async def handler() -> list[PlaybackResult]:
        return [await stream.pacer.play(source(1, 2, 3)), await stream.pacer.play(source(4, 5, 6, 7))]

    task = asyncio.create_task(handler())
    await stream.until(21)
    loop.stall(80)  # four frames are due in one go
    await stream.until(150)
    assert stream.transport.times == [1, 1, 1, 1, 21, 101, 101, 101, 101, 121, 141]
    assert sent_frames(stream) == [*frames(1, 2, 3, 4, 5, 6, 7), None, None, None, None]
    assert await task == [PlaybackResult(3, True), PlaybackResult(4, True)]


# A lead


@in_virtual_time
async def test_a_stream_begins_as_many_frames_ahead_as_its_lead(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, ahead(2))
    stream.pacer.start()
    done = stream.pacer.play(source(1, 2, 3, 4))
    await stream.until(75)
    assert stream.transport.times == [1, 1, 1, 21, 41, 61]
    assert sent_frames(stream) == [*frames(1, 2, 3, 4), None, None]
    assert await done == PlaybackResult(4, True)
    assert stream.pacer.frames == stream.ticker.frames == 6
    assert (stream.pacer.late_ticks, stream.pacer.skipped_ticks) == (0, 0)


@in_virtual_time
async def test_streams_of_different_leads_share_a_moment(loop: VirtualLoop) -> None:
    ticker = VirtualStream(loop, PCM).ticker
    streams = [VirtualStream(loop, ahead(lead), ticker) for lead in (0, 1, 3)]
    for stream in streams:
        stream.pacer.start()
    await streams[0].until(21)
    loop.stall(60)  # the frame due at 41 ms, and two more
    await streams[0].until(90)
    assert [stream.transport.times for stream in streams] == [
        [1, 21, 81],
        [1, 1, 21, 81, 81],
        [1, 1, 1, 1, 21, 81, 81, 81],
    ]
    assert [(stream.pacer.late_ticks, stream.pacer.skipped_ticks) for stream in streams] == [
        (0, 2),
        (1, 1),
        (2, 0),
    ]


@in_virtual_time
async def test_a_stream_counts_the_lost_ticks_of_its_own_time_in_a_slot(loop: VirtualLoop) -> None:
    """Not those of the streams that were in its slot before it came, and its own ones also after it has left."""
    first = VirtualStream(loop, ahead(1))
    other = VirtualStream(loop, ahead(1), first.ticker)

    def lost(stream: VirtualStream) -> tuple[int, int]:
        return stream.pacer.late_ticks, stream.pacer.skipped_ticks

    first.pacer.start()
    await first.until(21)
    loop.stall(60)  # the frame due at 41 ms, and two more
    await first.until(100)
    other.pacer.start()
    assert (lost(first), lost(other)) == ((1, 1), (0, 0))
    await first.until(141)
    loop.stall(60)
    await first.until(230)
    assert (lost(first), lost(other)) == ((2, 2), (1, 1))
    other.pacer.stop()
    loop.stall(60)
    await first.until(330)
    assert (lost(first), lost(other)) == ((3, 3), (1, 1))


@in_virtual_time
async def test_the_lead_counts_as_played_where_the_far_end_cannot_flush_it(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, ahead(2))
    stream.pacer.start()
    done = stream.pacer.play(source(*range(1, 50)))
    await stream.until(45)
    stream.pacer.cancel_all()
    assert await done == PlaybackResult(5, False)
    await stream.until(65)
    assert stream.transport.times == [1, 1, 1, 21, 41, 61]  # and the lead stays
    assert sent_frames(stream)[-1] == fade_out(frame(6))


@in_virtual_time
async def test_a_far_end_that_flushes_has_not_played_the_lead_and_gets_a_new_one(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, ahead(2))
    flushed: list[float] = []

    def flush() -> bool:
        flushed.append(loop.time())
        return True

    stream.pacer.flush_peer = flush
    stream.pacer.start()
    first, second = stream.pacer.play(source(*range(1, 50))), stream.pacer.play(source(9))
    await stream.until(45)
    stream.pacer.cancel(first)
    assert flushed == [0.045]
    assert await first == PlaybackResult(3, False)
    await stream.until(65)
    assert stream.transport.times == [1, 1, 1, 21, 41, 61, 61, 61]
    assert sent_frames(stream)[5:] == [frame(9), None, None]
    assert await second == PlaybackResult(1, True)
    stream.pacer.cancel_all()  # nothing plays
    assert len(flushed) == 1


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
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    assert await stream.pacer.play(LateSource()) == PlaybackResult(3, True)
    assert stream.pacer.underruns == 2
    assert sent_frames(stream)[:5] == [None, None, *frames(1, 2, 3)]
    again = stream.pacer.play(LateSource())
    await stream.until(150)
    assert not again.done()
    assert stream.pacer.underruns == 4  # also while it plays
    assert await again == PlaybackResult(3, True)
    assert stream.pacer.underruns == 4


@in_virtual_time
async def test_a_tick_that_is_settled_twice_begins_no_source_twice(loop: VirtualLoop) -> None:
    """A source ends, the stream leaves its place and takes it again, and another tick comes, all in one turn."""
    stream = VirtualStream(loop, PCM)
    other = VirtualStream(loop, PCM, stream.ticker)
    stream.pacer.start()
    played = [stream.pacer.play(source(*numbers)) for numbers in ((1, 2), (3, 4, 5), (6, 7))]
    await stream.until(41)
    stream.pacer.xoff()
    stream.pacer.xon()
    loop.stall(20)
    other.pacer.start()
    await stream.until(400)
    assert [message for message in sent_frames(stream) if message] == frames(1, 2, 3, 4, 5, 6, 7)
    assert [await done for done in played] == [
        PlaybackResult(2, True),
        PlaybackResult(3, True),
        PlaybackResult(2, True),
    ]
