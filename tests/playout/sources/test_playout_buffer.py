"""The playout buffer: its audio frame by frame, and when its marks are called."""

import asyncio
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import SILENCE, from_bytes, to_bytes
from mediaserver.playout.sources.playout_buffer import MAX_MARKS, PlayoutBuffer
from mediaserver.wire.encapsulation import PCM, Framing, WireSettings
from tests.sound import speechlike
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time

SOUND = to_bytes(speechlike(8000))


async def played(
    loop: VirtualLoop, buffer: PlayoutBuffer, frames: int, *actions: tuple[int, Callable[[], object]]
) -> bytes:
    """What is sent in `frames` frames; each action is called just before the frame of its number."""
    stream = VirtualStream(loop, WireSettings(framing=Framing.PCM))
    stream.pacer.start()
    stream.pacer.play(buffer)
    for n in range(frames):
        for at, action in actions:
            if at == n:
                action()
        while len(stream.transport.sent) <= n:
            await asyncio.sleep(0.001)
    stream.pacer.stop()
    return b"".join(message[4:] for message in stream.transport.messages)


@in_virtual_time
async def test_a_whole_sentence_is_played_without_delay_and_to_its_last_sample(loop: VirtualLoop) -> None:
    buffer = PlayoutBuffer(delay_ms=60)
    heard = await played(loop, buffer, 10, (2, lambda: buffer.push_audio(SOUND[:2000])))
    assert heard == SILENCE * 2 + SOUND[:2000] + bytes(240) + SILENCE
    assert buffer.underruns == 0


@in_virtual_time
async def test_audio_that_arrives_unevenly_is_played_without_gaps(loop: VirtualLoop) -> None:
    buffer = PlayoutBuffer(delay_ms=60)
    parts = [(at, SOUND[n * 320 : (n + 1) * 320]) for n, at in enumerate([0, 1, 2, 5, 5, 5, 6, 9, 9, 9])]
    actions = [(at, lambda part=part: buffer.push_audio(part)) for at, part in parts]
    heard = await played(loop, buffer, 14, *actions)
    assert heard == SILENCE * 2 + SOUND[:3200] + SILENCE * 2
    assert buffer.underruns == 0


@in_virtual_time
async def test_a_single_frame_does_not_wait_longer_than_the_delay(loop: VirtualLoop) -> None:
    buffer = PlayoutBuffer(delay_ms=60)
    heard = await played(loop, buffer, 6, (0, lambda: buffer.push_audio(SOUND[:320])))
    assert heard == SILENCE * 3 + SOUND[:320] + SILENCE * 2


@in_virtual_time
async def test_late_audio_counts_as_underruns_and_a_pause_does_not(loop: VirtualLoop) -> None:
    buffer = PlayoutBuffer()
    actions = [(at, lambda: buffer.push_audio(SOUND[:320])) for at in (0, 3, 10)]
    heard = await played(loop, buffer, 12, *actions)
    sounding = from_bytes(heard).reshape(-1, 160).any(axis=1)
    assert np.flatnonzero(sounding).tolist() == [0, 3, 10]
    assert buffer.underruns == 2


@in_virtual_time
async def test_marks_are_called_when_the_audio_before_them_is_played(loop: VirtualLoop) -> None:
    buffer, heard = PlayoutBuffer(), []

    def mark(name: str) -> Callable[[], None]:
        return lambda: heard.append((name, loop.now_ns // 1_000_000))

    buffer.add_mark(mark("first of all"))
    buffer.push_audio(SOUND[:640])
    buffer.add_mark(mark("two frames"))
    buffer.push_audio(SOUND[:700])  # two frames and a bit
    buffer.add_mark(mark("a bit"))
    buffer.add_mark(mark("as well"))
    await played(loop, buffer, 8, (6, lambda: buffer.add_mark(mark("alone"))))
    start = heard[0][1]
    assert [(name, at - start) for name, at in heard] == [
        ("first of all", 0),
        ("two frames", 40),
        ("a bit", 100),
        ("as well", 100),
        ("alone", 120),
    ]


@in_virtual_time
async def test_cleared_audio_is_not_played_and_its_marks_are_called_at_the_next_tick(loop: VirtualLoop) -> None:
    buffer, heard = PlayoutBuffer(delay_ms=60), []
    buffer.push_audio(SOUND)
    buffer.add_mark(lambda: heard.append("end"))

    def clear() -> None:
        assert not heard
        buffer.clear()

    def again() -> None:
        assert heard == ["end"]
        buffer.push_audio(SOUND[:960])

    assert await played(loop, buffer, 10, (3, clear), (5, again)) == (
        SOUND[:960] + fade_out(SOUND[960:1280]) + SILENCE + SOUND[:960] + SILENCE * 2
    )
    assert buffer.underruns == 0


def test_there_is_room_for_two_minutes() -> None:
    buffer = PlayoutBuffer()
    for _ in range(121):
        buffer.push_audio(bytes(16_000))
    assert buffer.dropped == 8000
    buffer.push_audio(bytes(2))
    assert buffer.dropped == 8001
    frames = buffer.iter_frames(PCM)
    next(frames)
    buffer.push_audio(SOUND[:640])
    assert buffer.dropped == 8001 + 160


def test_the_number_of_pending_marks_is_limited() -> None:
    buffer = PlayoutBuffer()
    assert all(buffer.add_mark(lambda: None) for _ in range(MAX_MARKS))
    assert not buffer.add_mark(lambda: None)


@in_virtual_time
async def test_marks_that_are_due_at_once_are_called_in_batches_and_in_order(loop: VirtualLoop) -> None:
    buffer, heard, by_tick = PlayoutBuffer(), [], []
    for n in range(70):
        buffer.add_mark(partial(heard.append, n))
    await played(loop, buffer, 5, *((at, lambda: by_tick.append(len(heard))) for at in range(5)))
    assert by_tick == [0, 32, 64, 70, 70]
    assert heard == list(range(70))


@pytest.mark.parametrize("how", [PlayoutBuffer.clear, PlayoutBuffer.reset])
def test_the_marks_of_a_buffer_are_called_after_clear_and_not_after_reset(
    how: Callable[[PlayoutBuffer], None],
) -> None:
    buffer, heard = PlayoutBuffer(), []
    buffer.push_audio(SOUND)
    buffer.add_mark(lambda: heard.append("end"))
    how(buffer)
    next(buffer.iter_frames(PCM))
    assert heard == (["end"] if how is PlayoutBuffer.clear else [])
