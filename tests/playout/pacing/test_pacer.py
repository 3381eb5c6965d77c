"""When a stream sends: lost ticks, hold, XOFF, slow peers, other connections; exact, under virtual time.

A stream that starts at 0 ms gets the slot at 1 ms: its frames are due at 1, 21, 41, … ms.
"""

from collections.abc import Iterator

import pytest

from mediaserver.playout.sources.playlist import Playlist
from mediaserver.playout.sources.source import Clip, PlaybackResult, Source
from mediaserver.wire.wire import Wire
from tests.playout.pacing.frames import PCM, QUIET, ahead, frame, frames, sent_frames, source
from tests.virtual import FakeTransport, VirtualLoop, VirtualStream, in_virtual_time


@in_virtual_time
async def test_stopping_in_the_middle_of_a_slot_sends_nothing_more(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    done = stream.pacer.play(source(*range(1, 50)))
    await stream.until(41)  # within the very tick of the third frame
    stream.pacer.stop()
    await stream.until(200)
    assert stream.transport.times == [1, 21, 41]
    assert await done == PlaybackResult(3, False)
    assert stream.pacer.frames == stream.ticker.frames == 3
    assert stream.ticker.streams == 0


@in_virtual_time
async def test_a_frame_due_when_the_stream_stops_is_not_counted(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    await stream.pacer.play(source(1, 2))  # over at 41 ms, when a third frame is due
    stream.pacer.stop()
    await stream.until(100)
    assert stream.transport.times == [1, 21]
    assert stream.pacer.frames == stream.ticker.frames == 2


@in_virtual_time
async def test_the_end_of_a_stream_sends_what_is_overdue_to_others(loop: VirtualLoop) -> None:
    """As when many streams end in one turn of the event loop: none of the frames waits until all have ended."""
    ending = [VirtualStream(loop, PCM)]
    ending += [VirtualStream(loop, PCM, ending[0].ticker) for _ in range(2)]
    other = VirtualStream(loop, PCM, ending[0].ticker)
    for stream in (*ending, other):
        stream.pacer.start()
    await other.until(25)
    for stream in ending:
        stream.pacer.stop()
        loop.stall(10)  # what else is done at the end of a stream
    assert other.transport.times == [1, 21, 45]  # what is due at 41 ms is sent at the end of the third
    assert [stream.transport.times for stream in ending] == [[1, 21]] * 3


@pytest.mark.parametrize(
    ("lead", "lost", "late", "skipped"),
    [(0, 1, 0, 1), (0, 10, 0, 10), (1, 1, 1, 0), (2, 1, 1, 0), (3, 3, 3, 0), (2, 10, 2, 8), (3, 500, 3, 497)],
)
@in_virtual_time
async def test_lost_ticks_are_caught_up_by_the_lead_and_the_rest_moves_the_schedule(
    lead: int, lost: int, late: int, skipped: int, loop: VirtualLoop
) -> None:
    stream = VirtualStream(loop, ahead(lead))
    stream.pacer.start()
    done = stream.pacer.play(source(*range(1, 20)))
    await stream.until(21)
    loop.stall(20 * lost + 20)  # the frame due at 41 ms, and `lost` more, are not sent on time
    back = 21 + 20 * lost + 20
    await stream.until(back + 50)
    burst = [back] * (1 + late)
    assert stream.transport.times == [*[1] * (1 + lead), 21, *burst, back + 20, back + 40]
    assert sent_frames(stream) == frames(
        *range(1, 1 + len(stream.transport.times))
    )  # nothing of the source is dropped
    assert (stream.pacer.late_ticks, stream.pacer.skipped_ticks) == (late, skipped)
    assert (stream.ticker.late_ticks, stream.ticker.skipped_ticks) == (late, skipped)
    stream.pacer.stop()
    assert (await done).frames == len(stream.transport.times)
    assert (stream.pacer.late_ticks, stream.pacer.skipped_ticks) == (late, skipped)


@in_virtual_time
async def test_a_stream_on_hold_sends_silence_and_begins_within_a_frame_of_its_release(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, ahead(1))
    stream.pacer.hold()
    stream.pacer.start()
    done = stream.pacer.play(source(1, 2, 3))
    await stream.until(50)
    assert stream.transport.sent == [(at, QUIET) for at in (1, 21, 41)]
    stream.pacer.release()
    await stream.until(85)
    assert stream.transport.times[3:] == [61, 61, 81]
    assert sent_frames(stream)[3:] == frames(1, 2, 3)
    stream.pacer.release()  # once is enough
    await stream.until(105)
    assert stream.transport.times[6:] == [101]
    assert await done == PlaybackResult(3, True)


@in_virtual_time
async def test_a_source_that_is_cancelled_on_hold_was_not_played(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.hold()
    stream.pacer.start()
    first, second = stream.pacer.play(source(1, 2)), stream.pacer.play(source(3, 4))
    await stream.until(30)
    stream.pacer.cancel(first)
    stream.pacer.release()
    await stream.until(70)
    assert sent_frames(stream) == [None, None, frame(3), frame(4)]
    assert await second == PlaybackResult(2, True)
    assert await first == PlaybackResult(0, False)


@in_virtual_time
async def test_another_connection_may_hold_what_plays_and_it_goes_on_where_it_was(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    done = stream.pacer.play(Playlist([Clip(b"".join(frames(*range(1, 7))))]))
    await stream.until(50)
    stream.pacer.pause()
    await stream.until(100)
    stream.pacer.reconnect(Wire(ahead(1)), stream.transport)
    stream.pacer.hold()
    stream.pacer.start()
    await stream.until(150)
    stream.pacer.release()
    await stream.until(230)
    assert sent_frames(stream) == [*frames(1, 2, 3), None, None, None, *frames(4, 5, 6), None, None]
    assert stream.transport.times[3:] == [101, 121, 141, 161, 161, 181, 201, 221]
    assert await done == PlaybackResult(6, True)


# A far end that is full


@in_virtual_time
async def test_after_xoff_nothing_is_sent_until_xon(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, ahead(1))
    stream.pacer.start()
    done = stream.pacer.play(source(*range(1, 6)))
    await stream.until(30)
    stream.pacer.xoff()
    await stream.until(200)
    assert stream.transport.times == [1, 1, 21]
    stream.pacer.xon()
    stream.pacer.xon()  # once is enough
    await stream.until(250)
    assert stream.transport.times == [1, 1, 21, 201, 221, 241]
    assert sent_frames(stream) == [*frames(1, 2, 3, 4, 5), None]
    assert await done == PlaybackResult(5, True)


@in_virtual_time
async def test_after_xoff_nothing_is_sent_though_a_slow_connection_has_drained(
    loop: VirtualLoop,
) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    stream.transport.buffered = 10_000
    await stream.until(400)  # slow by now
    sent = len(stream.transport.sent)
    stream.pacer.xoff()
    stream.transport.buffered = 0
    await stream.until(800)
    assert len(stream.transport.sent) == sent
    stream.pacer.xon()
    await stream.until(850)
    assert len(stream.transport.sent) > sent


@in_virtual_time
async def test_xon_does_not_start_a_stream_that_is_not_started_or_paused(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.xon()  # not asked to send yet
    await stream.until(30)
    assert stream.transport.sent == []
    stream.pacer.start()
    await stream.until(75)
    sent = len(stream.transport.sent)
    stream.pacer.xoff()
    stream.pacer.pause()
    stream.pacer.xon()
    await stream.until(200)
    assert len(stream.transport.sent) == sent
    assert stream.ticker.streams == 0


@pytest.mark.parametrize("held", ["slow", "full"])
@in_virtual_time
async def test_another_connection_is_not_held_up_by_the_one_before(held: str, loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    stream.pacer.play(Playlist([Clip(b"".join(frames(*range(1, 30))))]))
    if held == "slow":
        stream.transport.buffered = 5000
        await stream.until(500)
    else:
        await stream.until(190)
        stream.pacer.xoff()
    sent = len(stream.transport.sent)
    stream.pacer.pause()
    stream.transport.buffered = 0
    stream.pacer.reconnect(Wire(PCM), stream.transport)
    stream.pacer.start()
    await stream.until(570)
    assert len(stream.transport.sent) >= sent + 3
    assert sent_frames(stream) == frames(*range(1, len(stream.transport.sent) + 1))
    await stream.until(700)
    assert stream.pacer.frames == stream.ticker.frames == len(stream.transport.sent)


@in_virtual_time
async def test_after_another_connection_is_given_none_is_written_until_the_next_start(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    stream.pacer.play(Playlist([Clip(b"".join(frames(*range(1, 9))))]))
    await stream.until(25)
    old, stream.transport = stream.transport, FakeTransport(loop)
    stream.pacer.reconnect(Wire(PCM), stream.transport)
    await stream.until(65)
    stream.pacer.start()
    await stream.until(105)
    assert [message[4:] for message in old.messages] == frames(1, 2)
    assert sent_frames(stream) == frames(3, 4)


@in_virtual_time
async def test_a_stream_that_leaves_as_its_source_ends_goes_on_when_it_returns(loop: VirtualLoop) -> None:
    def end_and_leave() -> Iterator[bytes]:
        yield frame(1)
        stream.pacer.xoff()

    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    stream.pacer.play(Source(end_and_leave()))
    stream.pacer.play(source(2, 3))
    await stream.until(65)
    assert sent_frames(stream) == [frame(1)]
    stream.pacer.xon()
    await stream.until(125)
    assert sent_frames(stream) == [*frames(1, 2, 3), None][: len(stream.transport.sent)]
    assert len(stream.transport.sent) >= 3
    assert stream.pacer.frames == stream.ticker.frames == len(stream.transport.sent)


@in_virtual_time
async def test_a_stream_that_stops_does_not_flush_the_far_end(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, ahead(2))
    asked: list[None] = []

    def flush() -> bool:
        asked.append(None)
        return True

    stream.pacer.flush_peer = flush
    stream.pacer.start()
    done = stream.pacer.play(source(*range(1, 50)))
    await stream.until(45)
    stream.pacer.stop()
    assert asked == []
    assert await done == PlaybackResult(5, False)
