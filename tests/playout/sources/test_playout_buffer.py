"""What an application says, frame by frame, and when its marks come back."""

import asyncio
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest

from mediaserver.audio.pcm import SILENCE, from_bytes, to_bytes
from mediaserver.playout.sources.playout_buffer import MOST_MARKS, PlayoutBuffer
from mediaserver.wire.encapsulation import PCM, Framing, WireSettings
from tests.sound import speechlike
from tests.virtual import Stage, VirtualLoop, in_virtual_time

SOUND = to_bytes(speechlike(8000))


async def hear(
    loop: VirtualLoop, buffer: PlayoutBuffer, frames: int, *acts: tuple[int, Callable[[], object]]
) -> bytes:
    """What is heard in so many frames; acts happen just before theirs."""
    stage = Stage(loop, WireSettings(framing=Framing.PCM))
    stage.pacer.start()
    stage.pacer.play(buffer)
    for n in range(frames):
        for at, act in acts:
            if at == n:
                act()
        while len(stage.line.sent) <= n:
            await asyncio.sleep(0.001)
    stage.pacer.stop()
    return b"".join(message[4:] for message in stage.line.messages)


@in_virtual_time
async def test_a_sentence_at_once_is_played_without_a_wait_and_to_its_last_sample(loop: VirtualLoop) -> None:
    buffer = PlayoutBuffer(delay_ms=60)
    heard = await hear(loop, buffer, 10, (2, lambda: buffer.put(SOUND[:2000])))
    assert heard == SILENCE * 2 + SOUND[:2000] + bytes(240) + SILENCE
    assert buffer.underruns == 0


@in_virtual_time
async def test_sound_that_comes_unevenly_is_whole(loop: VirtualLoop) -> None:
    buffer = PlayoutBuffer(delay_ms=60)
    parts = [(at, SOUND[n * 320 : (n + 1) * 320]) for n, at in enumerate([0, 1, 2, 5, 5, 5, 6, 9, 9, 9])]
    acts = [(at, lambda part=part: buffer.put(part)) for at, part in parts]
    heard = await hear(loop, buffer, 14, *acts)
    assert heard == SILENCE * 2 + SOUND[:3200] + SILENCE * 2
    assert buffer.underruns == 0


@in_virtual_time
async def test_a_little_sound_does_not_wait_for_more_than_its_delay(loop: VirtualLoop) -> None:
    buffer = PlayoutBuffer(delay_ms=60)
    heard = await hear(loop, buffer, 6, (0, lambda: buffer.put(SOUND[:320])))
    assert heard == SILENCE * 3 + SOUND[:320] + SILENCE * 2


@in_virtual_time
async def test_sound_that_is_late_is_counted_and_a_pause_is_not(loop: VirtualLoop) -> None:
    buffer = PlayoutBuffer()
    acts = [(at, lambda: buffer.put(SOUND[:320])) for at in (0, 3, 10)]
    heard = await hear(loop, buffer, 12, *acts)
    sounding = from_bytes(heard).reshape(-1, 160).any(axis=1)
    assert np.flatnonzero(sounding).tolist() == [0, 3, 10]
    assert buffer.underruns == 2


@in_virtual_time
async def test_marks_come_back_when_the_sound_before_them_is_over(loop: VirtualLoop) -> None:
    buffer, heard = PlayoutBuffer(), []

    def mark(name: str) -> Callable[[], None]:
        return lambda: heard.append((name, loop.now_ns // 1_000_000))

    buffer.mark(mark("first of all"))
    buffer.put(SOUND[:640])
    buffer.mark(mark("two frames"))
    buffer.put(SOUND[:700])  # two frames and a bit
    buffer.mark(mark("a bit"))
    buffer.mark(mark("as well"))
    await hear(loop, buffer, 8, (6, lambda: buffer.mark(mark("alone"))))
    start = heard[0][1]
    assert [(name, at - start) for name, at in heard] == [
        ("first of all", 0),
        ("two frames", 40),
        ("a bit", 100),
        ("as well", 100),
        ("alone", 120),
    ]


@in_virtual_time
async def test_what_is_cleared_is_not_heard_and_its_marks_come_back_at_the_next_tick(loop: VirtualLoop) -> None:
    buffer, heard = PlayoutBuffer(delay_ms=60), []
    buffer.put(SOUND)
    buffer.mark(lambda: heard.append("end"))

    def clear() -> None:
        assert not heard
        buffer.clear()

    def again() -> None:
        assert heard == ["end"]
        buffer.put(SOUND[:960])

    assert await hear(loop, buffer, 10, (3, clear), (5, again)) == (
        SOUND[:960] + SILENCE * 2 + SOUND[:960] + SILENCE * 2
    )
    assert buffer.underruns == 0


def test_there_is_room_for_two_minutes() -> None:
    buffer = PlayoutBuffer()
    for _ in range(121):
        buffer.put(bytes(16_000))
    assert buffer.dropped == 8000
    buffer.put(bytes(2))
    assert buffer.dropped == 8001
    items = buffer.items(PCM)
    next(items)
    buffer.put(SOUND[:640])
    assert buffer.dropped == 8001 + 160


def test_only_so_many_marks_are_pending() -> None:
    buffer = PlayoutBuffer()
    assert all(buffer.mark(lambda: None) for _ in range(MOST_MARKS))
    assert not buffer.mark(lambda: None)


@in_virtual_time
async def test_marks_that_are_due_at_once_come_back_in_turns_and_in_their_order(loop: VirtualLoop) -> None:
    buffer, heard, by_tick = PlayoutBuffer(), [], []
    for n in range(70):
        buffer.mark(partial(heard.append, n))
    await hear(loop, buffer, 5, *((at, lambda: by_tick.append(len(heard))) for at in range(5)))
    assert by_tick == [0, 32, 64, 70, 70]
    assert heard == list(range(70))


@pytest.mark.parametrize("how", [PlayoutBuffer.clear, PlayoutBuffer.forget])
def test_what_is_forgotten_tells_nobody(how: Callable[[PlayoutBuffer], None]) -> None:
    buffer, heard = PlayoutBuffer(), []
    buffer.put(SOUND)
    buffer.mark(lambda: heard.append("end"))
    how(buffer)
    next(buffer.items(PCM))
    assert heard == (["end"] if how is PlayoutBuffer.clear else [])
