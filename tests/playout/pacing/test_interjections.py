"""A source that interrupts another: what played before goes on where it was stopped; exact, under virtual time."""

from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import to_bytes
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.playout.sources.source import Clip, PlaybackResult
from tests.playout.pacing.frames import PCM, frame, frames, sent_frames, source
from tests.playout.pacing.test_fades import FRAMES, SINE
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time


@in_virtual_time
async def test_what_played_fades_out_and_goes_on_where_it_was_stopped(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    first = stream.pacer.play(Playlist([Clip(to_bytes(SINE[: 6 * 160]))]))
    await stream.until(50)
    second = stream.pacer.interject(source(7, 8))
    await stream.until(230)
    right = [*FRAMES[:3], fade_out(FRAMES[3]), *frames(7, 8), *FRAMES[3:6], None, None, None]
    assert sent_frames(stream) == right
    assert await second == PlaybackResult(2, complete=True)
    assert await first == PlaybackResult(6, complete=True)
    assert stream.pacer.frames == stream.ticker.frames == 12


@in_virtual_time
async def test_it_comes_before_all_that_wait_and_after_the_one_before_it(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    stream.pacer.play(source(1, 2, 3, 4))
    stream.pacer.play(source(5))
    await stream.until(30)
    outer = stream.pacer.interject(source(6, 7, 8))
    await stream.until(70)  # the fade, and the first frame
    stream.pacer.interject(source(9))
    await stream.until(230)
    faded = fade_out(frame(3)), fade_out(frame(7))
    # What cannot be read twice, unlike a prompt, goes on after the frame that was faded.
    assert sent_frames(stream) == [
        *(*frames(1, 2), faded[0], frame(6), faded[1], frame(9), frame(8), frame(4), frame(5)),
        *(None, None, None),
    ]
    assert await outer == PlaybackResult(2, complete=True)


@in_virtual_time
async def test_where_nothing_plays_it_begins_with_the_next_frame(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    await stream.until(30)
    stream.pacer.interject(source(1))
    await stream.until(70)
    assert sent_frames(stream) == [None, None, frame(1), None]


@in_virtual_time
async def test_all_is_cleared_together(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    first = stream.pacer.play(source(1, 2, 3, 4))
    await stream.until(30)
    second = stream.pacer.interject(source(5, 6, 7))
    await stream.until(70)
    stream.pacer.cancel_all()
    await stream.until(110)
    assert sent_frames(stream) == [*frames(1, 2), fade_out(frame(3)), frame(5), fade_out(frame(6)), None]
    assert await first == PlaybackResult(2, complete=False)
    assert await second == PlaybackResult(1, complete=False)


@in_virtual_time
async def test_on_hold_it_is_the_first_of_those_that_wait(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.hold()
    stream.pacer.start()
    stream.pacer.play(source(1))
    await stream.until(30)
    stream.pacer.interject(source(2))
    stream.pacer.release()
    await stream.until(70)
    assert sent_frames(stream) == [None, None, frame(2), frame(1)]
