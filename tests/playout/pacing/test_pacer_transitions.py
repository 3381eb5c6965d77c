"""What a stream sends next when a source has ended, failed or been cancelled: exact, under virtual time."""

import asyncio
from collections.abc import Iterator

import pytest

from mediaserver.playout.sources.playlist import Playlist
from mediaserver.playout.sources.source import Clip, PlaybackResult, Source
from mediaserver.wire.chan_websocket import MediaFormat
from mediaserver.wire.codec import Codec
from mediaserver.wire.encapsulation import Encoding
from mediaserver.wire.wire import Wire
from tests.playout.pacing.frames import PCM, ahead, frame, frames, sent_frames, source
from tests.virtual import FakeTransport, VirtualLoop, VirtualStream, in_virtual_time


@in_virtual_time
async def test_a_closed_transport_does_not_fail_the_source(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    done = stream.pacer.play(Playlist([Clip(b"".join(frames(*range(1, 8))))]))
    await stream.until(25)
    stream.transport.closing = True
    await stream.until(65)  # its frame of 41 ms could not be written
    assert loop.waiting == []  # it has left the ticker, which has nobody else
    assert not done.done()
    stream.transport = FakeTransport(loop)
    stream.pacer.reconnect(Wire(PCM), stream.transport)
    stream.pacer.start()
    assert (await done).complete
    assert sent_frames(stream) == frames(4, 5, 6, 7)  # from where it is in time


class Unrepeatable(Source):
    """A source that cannot be asked for its frames again."""

    def iter_frames(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        if start:
            raise ValueError("it cannot go on")
        return super().iter_frames(encoding, start)


@pytest.mark.parametrize("how", ["another wire", "an observer"])
@in_virtual_time
async def test_a_source_that_fails_when_the_encoding_changes_is_followed_by_the_next(
    how: str, loop: VirtualLoop
) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    broken, following = stream.pacer.play(Unrepeatable(frames(1, 2, 3))), stream.pacer.play(source(4, 5))
    await stream.until(25)
    if how == "another wire":
        stream.pacer.on_wire_changed()
    else:
        with stream.pacer.observe(lambda encoding, frame: None):
            pass
    await stream.until(85)
    assert sent_frames(stream) == [*frames(1, 2, 4, 5), None]
    assert isinstance(broken.exception(), ValueError)
    assert await following == PlaybackResult(2, complete=True)


@in_virtual_time
async def test_a_partial_frame_of_a_cancelled_source_does_not_begin_the_next(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.wire.set_media_format(MediaFormat("slin", Codec.SLIN, 8000, 640))
    stream.pacer.flush_peer = lambda: True
    stream.pacer.start()
    stream.pacer.play(source(*range(1, 50)))
    await stream.until(45)  # the third waits for the fourth
    stream.pacer.cancel_all()
    stream.pacer.play(source(7, 8, 9, 10))
    await stream.until(145)
    assert [message[4:] for message in stream.transport.messages if message][:3] == [
        frame(1) + frame(2),
        frame(7) + frame(8),
        frame(9) + frame(10),
    ]


@in_virtual_time
async def test_nothing_is_reported_as_flushed_by_a_far_end_that_cannot_flush(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, ahead(3))
    flushed: list[int] = []
    with stream.pacer.observe(lambda encoding, frame: None, flushed.append):
        stream.pacer.start()
        stream.pacer.play(source(*range(1, 50)))
        await stream.until(45)
        stream.pacer.cancel_all()
        await stream.until(85)
        assert flushed == []
        stream.pacer.flush_peer = lambda: True
        stream.pacer.play(source(*range(1, 50)))
        await stream.until(125)
        stream.pacer.cancel_all()
    assert flushed == [3]


@in_virtual_time
async def test_cancelling_a_source_that_waits_leaves_the_one_that_plays_alone(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    first, second = stream.pacer.play(source(1, 2, 3)), stream.pacer.play(source(4))
    await stream.until(25)
    stream.pacer.cancel(second)
    assert await first == PlaybackResult(3, complete=True)
    await stream.until(85)
    assert sent_frames(stream) == [*frames(1, 2, 3), None, None]


@in_virtual_time
async def test_the_frames_of_every_lead_are_counted(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, ahead(2))
    stream.pacer.flush_peer = lambda: True
    stream.pacer.start()
    for _ in range(3):  # each runs ahead anew
        stream.pacer.play(source(*range(1, 50)))
        await asyncio.sleep(0.04)
        stream.pacer.cancel_all()
    await asyncio.sleep(0.04)
    assert stream.pacer.frames == stream.ticker.frames == len(stream.transport.sent) == 8 + 4 * 2


class Breaking:
    """Raises each time it is asked for a frame: unlike a generator, it does not end by it."""

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        raise ValueError("it is broken")


@in_virtual_time
async def test_a_source_that_fails_is_followed_by_the_next_in_the_same_tick(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    stream.pacer.start()
    played = [stream.pacer.play(each) for each in (source(1), Source(Breaking()), source(2))]
    await stream.until(65)
    assert sent_frames(stream) == [*frames(1, 2), None, None]
    assert isinstance(played[1].exception(), ValueError)
    assert await played[2] == PlaybackResult(1, complete=True)


@pytest.mark.parametrize("lead", [0, 2])
@in_virtual_time
async def test_all_sources_played_as_one_ends_are_sent(lead: int, loop: VirtualLoop) -> None:
    """Within a tick, and, with a lead, within what is sent ahead of it: two at once, the first is not lost."""
    stream = VirtualStream(loop, ahead(lead))
    stream.pacer.start()

    async def handler() -> list[PlaybackResult]:
        first = await stream.pacer.play(source(1))
        played = stream.pacer.play(source(2)), stream.pacer.play(source(3))
        return [first, *await asyncio.gather(*played)]

    assert await asyncio.wait_for(handler(), 1) == [PlaybackResult(1, complete=True)] * 3
    assert [message for message in sent_frames(stream) if message] == frames(1, 2, 3)
    assert sent_frames(stream)[:3] == frames(1, 2, 3)
