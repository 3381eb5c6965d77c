"""Observers of what a stream sends, and the partial frame at its end."""

import pytest

from mediaserver.audio.pcm import SILENCE
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.playout.sources.source import Clip
from mediaserver.wire.chan_websocket import MediaFormat
from mediaserver.wire.codec import Codec
from tests.playout.pacing.frames import PCM, ahead, frame, frames, sent_frames, source
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time


@in_virtual_time
async def test_observers_are_told_of_frames_that_the_far_end_has_flushed(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, ahead(3))
    stream.pacer.flush_peer = lambda: True
    kept: list[bytes] = []

    def drop_flushed(count: int) -> None:
        del kept[-count:]

    with stream.pacer.observe(lambda encoding, frame: kept.append(encoding.decode(frame)), drop_flushed):
        stream.pacer.start()
        stream.pacer.play(source(*range(1, 50)))
        await stream.until(65)
        stream.pacer.cancel_all()
        assert kept == frames(1, 2, 3, 4)
        await stream.until(85)
    assert len(kept) == 4 + 1 + 3  # and it runs ahead anew


@in_virtual_time
async def test_an_observer_added_in_mid_source_sees_frames_from_the_next_one_on(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, PCM)
    seen: list[int] = []
    stream.pacer.start()
    stream.pacer.play(Playlist([Clip(b"".join(frames(*range(1, 10))))]))
    await stream.until(25)
    with stream.pacer.observe(lambda encoding, frame: seen.append(frame[4])):
        await stream.until(65)
    await stream.until(105)
    assert seen == [3, 4]
    assert sent_frames(stream) == frames(1, 2, 3, 4, 5, 6)


@in_virtual_time
async def test_a_removed_observer_sees_no_more_frames_and_others_still_do(loop: VirtualLoop) -> None:
    stream = VirtualStream(loop, ahead(1))
    stream.pacer.flush_peer = lambda: True
    first, second, flushed = [], [], []
    stream.pacer.start()
    stream.pacer.play(source(*range(1, 50)))
    with stream.pacer.observe(lambda encoding, frame: second.append(frame[4]), flushed.append):
        with stream.pacer.observe(lambda encoding, frame: first.append(frame[4]), flushed.append):
            await stream.until(25)
        await stream.until(45)
        stream.pacer.cancel_all()
    await stream.until(85)
    assert first == [1, 2, 3]
    assert second == [1, 2, 3, 4]
    assert flushed == [1]


@pytest.mark.parametrize(("closing", "sent"), [(False, [frame(1) + frame(2), frame(3) + SILENCE]), (True, [])])
@in_virtual_time
async def test_a_partial_frame_is_sent_unless_the_connection_is_closed(
    closing: bool, sent: list[bytes], loop: VirtualLoop
) -> None:
    stream = VirtualStream(loop, PCM)
    stream.wire.set_media_format(MediaFormat("slin", Codec.SLIN, 8000, 640))
    if not closing:
        stream.pacer.start()
    stream.pacer.play(source(1, 2, 3))
    await stream.until(50)
    stream.transport.closing = closing
    stream.pacer.stop()
    stream.pacer.write_partial_frame()
    stream.pacer.write_partial_frame()  # once is enough
    assert [message[4:] for message in stream.transport.messages if message] == sent
