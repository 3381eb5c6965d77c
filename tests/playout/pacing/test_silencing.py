"""All sound is stopped at a request, and what has no end goes on in silence; exact, under virtual time."""

import pytest

from mediaserver.audio.fade import fade_out
from mediaserver.playout.sources.live import LiveSource
from mediaserver.playout.sources.playlist import MusicWithAnnouncements, Playlist, Repeated
from mediaserver.playout.sources.playout_buffer import PlayoutBuffer
from mediaserver.playout.sources.source import Clip, PlaybackResult, Source
from tests.playout.pacing.frames import PCM, ahead, frame, frames, sent_frames, source
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time


def looped(number: int) -> Playlist:
    """A loop, of which every frame is the same."""
    return Playlist(Repeated([Clip(frame(number))], None))


def playing(loop: VirtualLoop) -> VirtualStream:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    return stream


@in_virtual_time
async def test_what_has_an_end_is_stopped_and_what_waits_as_well(loop: VirtualLoop) -> None:
    stream = playing(loop)
    first, second = stream.pacer.play(source(1, 2, 3, 4)), stream.pacer.play(source(5, 6))
    await stream.until(30)
    stream.pacer.silence_all()
    await stream.until(90)
    assert sent_frames(stream) == [*frames(1, 2), fade_out(frame(3)), None, None]
    assert (await first, await second) == (PlaybackResult(2, complete=False), PlaybackResult(0, complete=False))


@pytest.mark.parametrize("live", [LiveSource(40), PlayoutBuffer(40)])
@in_virtual_time
async def test_live_audio_that_waits_is_dropped_and_what_comes_later_is_played(
    live: LiveSource | PlayoutBuffer, loop: VirtualLoop
) -> None:
    stream = playing(loop)
    live.push_audio(b"".join(frames(1, 2, 3, 4, 5)))
    done, behind = stream.pacer.play(live), stream.pacer.play(source(9))
    await stream.until(30)
    stream.pacer.silence_all()
    assert await behind == PlaybackResult(0, complete=False)  # a live source does not end, so this has no turn
    await stream.until(70)
    live.push_audio(frame(6))  # waits for its delay, as at the beginning
    live.push_audio(frame(7))
    await stream.until(150)
    assert sent_frames(stream) == [*frames(1, 2), fade_out(frame(3)), None, *frames(6, 7), None, None]
    assert not done.done()
    assert stream.pacer.playbacks[0].source is live


@pytest.mark.parametrize("live", [LiveSource(), PlayoutBuffer()])
@in_virtual_time
async def test_live_audio_that_was_interrupted_is_dropped_without_a_trace(
    live: LiveSource | PlayoutBuffer, loop: VirtualLoop
) -> None:
    stream = playing(loop)
    live.push_audio(b"".join(frames(1, 2, 3, 4, 5)))
    stream.pacer.play(live)
    await stream.until(10)
    stream.pacer.interject(source(7, 8))
    await stream.until(50)
    stream.pacer.silence_all()
    await stream.until(90)
    live.push_audio(frame(6))
    await stream.until(130)
    faded = fade_out(frame(2)), fade_out(frame(8))
    assert sent_frames(stream) == [frame(1), faded[0], frame(7), faded[1], None, frame(6), None]


@in_virtual_time
async def test_a_loop_is_heard_no_more_and_what_waits_behind_it_is_played(loop: VirtualLoop) -> None:
    stream = playing(loop)
    done, behind = stream.pacer.play(looped(1)), stream.pacer.play(source(2, 3))
    await stream.until(30)
    stream.pacer.silence_all()
    await stream.until(130)
    assert sent_frames(stream) == [*frames(1, 1), fade_out(frame(1)), *frames(2, 3), None, None]
    assert await behind == PlaybackResult(2, complete=True)
    assert not done.done()
    assert stream.pacer.playbacks == []
    stream.pacer.silence_all()  # there is nothing to stop any more
    later = stream.pacer.play(source(4))
    await stream.until(170)
    assert (await later).complete
    stream.pacer.cancel(done)
    assert await done == PlaybackResult(2, complete=False)


@in_virtual_time
async def test_a_loop_that_was_interrupted_does_not_come_back(loop: VirtualLoop) -> None:
    stream = playing(loop)
    done = stream.pacer.play(looped(1))
    behind = stream.pacer.play(source(2))
    await stream.until(10)
    over = stream.pacer.interject(source(7, 8, 9))
    await stream.until(50)
    stream.pacer.silence_all()
    await stream.until(110)
    right = [frame(1), fade_out(frame(1)), frame(7), fade_out(frame(8)), frame(2), None]
    assert sent_frames(stream) == right
    assert (await over, await behind) == (PlaybackResult(1, complete=False), PlaybackResult(1, complete=True))
    assert not done.done()


@in_virtual_time
async def test_a_silenced_loop_ends_when_all_is_cancelled(loop: VirtualLoop) -> None:
    stream = playing(loop)
    for end in (stream.pacer.cancel_all, stream.pacer.stop):
        done = stream.pacer.play(looped(1))
        await stream.until(loop.time() * 1000 + 50)
        stream.pacer.silence_all()
        await stream.until(loop.time() * 1000 + 50)
        assert not done.done()
        end()
        assert not (await done).complete


@in_virtual_time
async def test_frames_that_the_far_end_drops_are_not_played(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, ahead(2))
    stream.pacer.flush_peer = lambda: True
    stream.pacer.start()
    done = stream.pacer.play(looped(1))
    await stream.until(50)
    stream.pacer.silence_all()
    await stream.until(70)
    assert sent_frames(stream) == [*frames(1, 1, 1, 1, 1), None, None, None]
    stream.pacer.cancel(done)
    assert await done == PlaybackResult(3, complete=False)


def test_what_loops_says_so() -> None:
    clip = Clip(frame(1))
    assert [looped(1).loops, MusicWithAnnouncements(looped(1), clip, 50).loops] == [True, True]
    repeated = Playlist(Repeated([clip], 1000)), Playlist(Repeated([], None))
    finite: list[Source] = [source(1), Playlist([clip]), *repeated]
    assert not any(each.loops for each in finite)
