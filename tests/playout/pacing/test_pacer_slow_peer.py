"""A stream whose peer is slow: it pauses, keeps its place, and is reported when that takes too long."""

import pytest

from mediaserver.playout.sources.source import PlaybackResult
from tests.playout.pacing.frames import PCM, frames, sent_frames, source
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time


@in_virtual_time
async def test_a_slow_peer_pauses_its_stream_where_it_is(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    done = stream.pacer.play(source(*range(1, 40)))
    await stream.until(100)
    stream.transport.buffered = 5000
    await stream.until(1000)
    paused_at = stream.transport.times[-1]
    assert paused_at <= 100 + 200  # seen by the next look, ten frames on at the latest
    sent = len(stream.transport.sent)
    assert stream.ticker.streams == 0
    stream.transport.buffered = 0
    await stream.until(3000)
    assert sent_frames(stream)[: sent + 3] == frames(*range(1, sent + 4))  # it goes on with the very next frame
    assert stream.pacer.stalls == 1
    assert await done == PlaybackResult(39, True)


@pytest.mark.parametrize("gone", ["slow", "full", "away"])
@in_virtual_time
async def test_a_frame_that_is_due_as_the_stream_pauses_is_not_sent_later(gone: str, loop: VirtualLoop) -> None:
    """The source is over in the very tick in which the stream leaves its place: nothing was settled yet."""
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    done = stream.pacer.play(source(*range(1, 10)))
    await stream.until(170)
    if gone == "slow":
        stream.transport.buffered = 5000  # seen in the tenth tick, at 181 ms
    assert await done == PlaybackResult(9, True)
    if gone == "full":
        stream.pacer.xoff()
    if gone == "away":
        stream.pacer.pause()
    assert stream.ticker.streams == 0
    await stream.until(300)
    assert stream.pacer.frames == stream.ticker.frames == len(stream.transport.sent) == 9
    after = stream.pacer.play(source(10, 11))
    stream.transport.buffered = 0
    stream.pacer.xon()
    stream.pacer.start()
    await stream.until(600)
    assert sent_frames(stream)[:12] == [*frames(*range(1, 12)), None]
    assert await after == PlaybackResult(2, True)
    assert stream.pacer.frames == stream.ticker.frames == len(stream.transport.sent)


@in_virtual_time
async def test_a_peer_that_takes_nothing_for_too_long_is_reported(loop: VirtualLoop) -> None:
    reported: list[float] = []
    stream = VirtualStream(loop, PCM, on_stalled=lambda: reported.append(loop.time()), stall_timeout=2.0)
    stream.pacer.start()
    stream.transport.buffered = 5000
    await stream.until(10_000)
    assert len(reported) == 1
    assert 2.0 <= reported[0] <= 2.4
    stream.pacer.stop()


@in_virtual_time
async def test_a_slow_peer_has_the_whole_timeout_at_each_stall(loop: VirtualLoop) -> None:
    reported: list[float] = []
    stream = VirtualStream(loop, PCM, on_stalled=lambda: reported.append(loop.time()), stall_timeout=1.0)
    stream.pacer.start()
    for begin in (0, 2000):
        await stream.until(begin + 100)
        stream.transport.buffered = 5000
        await stream.until(begin + 1000)
        stream.transport.buffered = 0  # in time
        await stream.until(begin + 1500)
    assert stream.pacer.stalls == 2
    assert reported == []
    stream.transport.buffered = 5000
    await stream.until(6000)
    assert len(reported) == 1


@in_virtual_time
async def test_bytes_held_back_up_to_the_limit_are_no_stall(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    stream.transport.buffered = 4096
    await stream.until(1000)
    assert stream.pacer.stalls == 0
    assert len(stream.transport.sent) == 50


@pytest.mark.parametrize("end", ["pause", "stop"])
@in_virtual_time
async def test_a_paused_or_stopped_stream_does_not_wait_for_its_slow_peer(end: str, loop: VirtualLoop) -> None:
    reported: list[float] = []
    stream = VirtualStream(loop, PCM, on_stalled=lambda: reported.append(loop.time()), stall_timeout=1.0)
    stream.pacer.start()
    stream.transport.buffered = 5000
    await stream.until(500)
    assert stream.pacer.stalls == 1
    getattr(stream.pacer, end)()
    sent = len(stream.transport.sent)
    await stream.until(5000)
    assert reported == []
    stream.transport.buffered = 0
    await stream.until(6000)
    assert len(stream.transport.sent) == sent
    assert stream.ticker.streams == 0
