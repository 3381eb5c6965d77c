"""What a stream sends next where what it sent has ended, broken, or gone nowhere: exact, under virtual time."""

import asyncio
from collections.abc import Iterator

import pytest

from mediaserver.playout.sources.source import Clip, PlaybackResult, Playlist, Source
from mediaserver.wire.chan_websocket import MediaFormat
from mediaserver.wire.codec import Codec
from mediaserver.wire.encapsulation import Encoding
from mediaserver.wire.wire import Wire
from tests.playout.pacing.test_pacer import PCM, ahead, frame, frames, heard_on, source
from tests.virtual import Line, Stage, VirtualLoop, in_virtual_time


@in_virtual_time
async def test_a_closed_transport_does_not_fail_the_source(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    done = stage.pacer.play(Playlist([Clip(b"".join(frames(*range(1, 8))))]))
    await stage.until(25)
    stage.line.closing = True
    await stage.until(65)  # its frame of 41 ms could not be written
    assert loop.waiting == []  # it has left the ticker, which has nobody else
    assert not done.done()
    stage.line = Line(loop)
    stage.pacer.reconnect(Wire(PCM), stage.line)
    stage.pacer.start()
    assert (await done).complete
    assert heard_on(stage) == frames(4, 5, 6, 7)  # from where it is in time


class Unrepeatable(Source):
    """One that cannot be asked for its items again."""

    def iter_frames(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        if start:
            raise ValueError("it cannot go on")
        return super().iter_frames(encoding, start)


@pytest.mark.parametrize("how", ["another wire", "a watcher"])
@in_virtual_time
async def test_a_source_that_fails_when_the_encoding_changes_is_followed_by_the_next(
    how: str, loop: VirtualLoop
) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    broken, following = stage.pacer.play(Unrepeatable(frames(1, 2, 3))), stage.pacer.play(source(4, 5))
    await stage.until(25)
    if how == "another wire":
        stage.pacer.on_wire_changed()
    else:
        with stage.pacer.observe(lambda encoding, item: None):
            pass
    await stage.until(85)
    assert heard_on(stage) == [*frames(1, 2, 4, 5), None]
    assert isinstance(broken.exception(), ValueError)
    assert await following == PlaybackResult(2, complete=True)


@in_virtual_time
async def test_a_partial_frame_of_a_cancelled_source_does_not_begin_the_next(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.wire.set_media_format(MediaFormat("slin", Codec.SLIN, 8000, 640))
    stage.pacer.flush_peer = lambda: True
    stage.pacer.start()
    stage.pacer.play(source(*range(1, 50)))
    await stage.until(45)  # the third waits for the fourth
    stage.pacer.cancel_all()
    stage.pacer.play(source(7, 8, 9, 10))
    await stage.until(145)
    assert [message[4:] for message in stage.line.messages if message][:3] == [
        frame(1) + frame(2),
        frame(7) + frame(8),
        frame(9) + frame(10),
    ]


@in_virtual_time
async def test_nothing_is_reported_as_flushed_by_a_far_end_that_cannot_flush(loop: VirtualLoop) -> None:
    stage = Stage(loop, ahead(3))
    recalls: list[int] = []
    with stage.pacer.observe(lambda encoding, item: None, recalls.append):
        stage.pacer.start()
        stage.pacer.play(source(*range(1, 50)))
        await stage.until(45)
        stage.pacer.cancel_all()
        await stage.until(85)
        assert recalls == []
        stage.pacer.flush_peer = lambda: True
        stage.pacer.play(source(*range(1, 50)))
        await stage.until(125)
        stage.pacer.cancel_all()
    assert recalls == [3]


@in_virtual_time
async def test_cancelling_a_source_that_waits_leaves_the_one_that_plays_alone(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    first, second = stage.pacer.play(source(1, 2, 3)), stage.pacer.play(source(4))
    await stage.until(25)
    stage.pacer.cancel(second)
    assert await first == PlaybackResult(3, complete=True)
    await stage.until(85)
    assert heard_on(stage) == [*frames(1, 2, 3), None, None]


@in_virtual_time
async def test_the_frames_of_every_lead_are_counted(loop: VirtualLoop) -> None:
    stage = Stage(loop, ahead(2))
    stage.pacer.flush_peer = lambda: True
    stage.pacer.start()
    for _ in range(3):  # each runs ahead anew
        stage.pacer.play(source(*range(1, 50)))
        await asyncio.sleep(0.04)
        stage.pacer.cancel_all()
    await asyncio.sleep(0.04)
    assert stage.pacer.frames == stage.ticker.frames == len(stage.line.sent) == 8 + 4 * 2


class Breaking:
    """Raises each time it is asked for a frame: unlike a generator, it does not end by it."""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        raise ValueError("it is broken")


@in_virtual_time
async def test_a_source_that_fails_is_followed_by_the_next_in_the_same_tick(loop: VirtualLoop) -> None:
    stage = Stage(loop, PCM)
    stage.pacer.start()
    played = [stage.pacer.play(each) for each in (source(1), Source(Breaking()), source(2))]
    await stage.until(65)
    assert heard_on(stage) == [*frames(1, 2), None, None]
    assert isinstance(played[1].exception(), ValueError)
    assert await played[2] == PlaybackResult(1, complete=True)


@pytest.mark.parametrize("lead", [0, 2])
@in_virtual_time
async def test_all_sources_played_as_one_ends_are_sent(lead: int, loop: VirtualLoop) -> None:
    """Within a tick, and, with a lead, within what is sent ahead of it: two at once, the first is not lost."""
    stage = Stage(loop, ahead(lead))
    stage.pacer.start()

    async def handler() -> list[PlaybackResult]:
        first = await stage.pacer.play(source(1))
        played = stage.pacer.play(source(2)), stage.pacer.play(source(3))
        return [first, *await asyncio.gather(*played)]

    assert await asyncio.wait_for(handler(), 1) == [PlaybackResult(1, complete=True)] * 3
    assert [message for message in heard_on(stage) if message] == frames(1, 2, 3)
    assert heard_on(stage)[:3] == frames(1, 2, 3)
