"""What an application says, frame by frame, and when its marks come back."""

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from mediaserver.audio.pcm import SILENCE, from_bytes, to_bytes
from mediaserver.playout.speech import MOST_MARKS, Speech
from mediaserver.wire.encapsulation import PCM, Framing, WireSettings
from tests.sound import speechlike
from tests.virtual import Stage, VirtualLoop, in_virtual_time

SOUND = to_bytes(speechlike(8000))


async def hear(loop: VirtualLoop, speech: Speech, frames: int, *acts: tuple[int, Callable[[], object]]) -> bytes:
    """What is heard in so many frames; acts happen just before theirs."""
    stage = Stage(loop, WireSettings(framing=Framing.PCM))
    stage.pacer.start()
    stage.pacer.play(speech)
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
    speech = Speech(delay_ms=60)
    heard = await hear(loop, speech, 10, (2, lambda: speech.put(SOUND[:2000])))
    assert heard == SILENCE * 2 + SOUND[:2000] + bytes(240) + SILENCE
    assert speech.underruns == 0


@in_virtual_time
async def test_sound_that_comes_unevenly_is_whole(loop: VirtualLoop) -> None:
    speech = Speech(delay_ms=60)
    parts = [(at, SOUND[n * 320 : (n + 1) * 320]) for n, at in enumerate([0, 1, 2, 5, 5, 5, 6, 9, 9, 9])]
    acts = [(at, lambda part=part: speech.put(part)) for at, part in parts]
    heard = await hear(loop, speech, 14, *acts)
    assert heard == SILENCE * 2 + SOUND[:3200] + SILENCE * 2
    assert speech.underruns == 0


@in_virtual_time
async def test_a_little_sound_does_not_wait_for_more_than_its_delay(loop: VirtualLoop) -> None:
    speech = Speech(delay_ms=60)
    heard = await hear(loop, speech, 6, (0, lambda: speech.put(SOUND[:320])))
    assert heard == SILENCE * 3 + SOUND[:320] + SILENCE * 2


@in_virtual_time
async def test_sound_that_is_late_is_counted_and_a_pause_is_not(loop: VirtualLoop) -> None:
    speech = Speech()
    acts = [(at, lambda: speech.put(SOUND[:320])) for at in (0, 3, 10)]
    heard = await hear(loop, speech, 12, *acts)
    sounding = from_bytes(heard).reshape(-1, 160).any(axis=1)
    assert np.flatnonzero(sounding).tolist() == [0, 3, 10]
    assert speech.underruns == 2


@in_virtual_time
async def test_marks_come_back_when_the_sound_before_them_is_over(loop: VirtualLoop) -> None:
    speech, heard = Speech(), []

    def mark(name: str) -> Callable[[], None]:
        return lambda: heard.append((name, loop.now_ns // 1_000_000))

    speech.mark(mark("first of all"))
    speech.put(SOUND[:640])
    speech.mark(mark("two frames"))
    speech.put(SOUND[:700])  # two frames and a bit
    speech.mark(mark("a bit"))
    speech.mark(mark("as well"))
    await hear(loop, speech, 8, (6, lambda: speech.mark(mark("alone"))))
    start = heard[0][1]
    assert [(name, at - start) for name, at in heard] == [
        ("first of all", 0),
        ("two frames", 40),
        ("a bit", 100),
        ("as well", 100),
        ("alone", 120),
    ]


@in_virtual_time
async def test_what_is_cleared_is_not_heard_and_its_marks_come_back_at_once(loop: VirtualLoop) -> None:
    speech, heard = Speech(delay_ms=60), []
    speech.put(SOUND)
    speech.mark(lambda: heard.append("end"))

    def clear() -> None:
        assert not heard
        speech.clear()
        assert heard == ["end"]

    def again() -> None:
        speech.put(SOUND[:960])

    assert await hear(loop, speech, 10, (3, clear), (5, again)) == (
        SOUND[:960] + SILENCE * 2 + SOUND[:960] + SILENCE * 2
    )
    assert speech.underruns == 0


def test_there_is_room_for_two_minutes() -> None:
    speech = Speech()
    for _ in range(121):
        speech.put(bytes(16_000))
    assert speech.dropped == 8000
    speech.put(bytes(2))
    assert speech.dropped == 8001
    items = speech.items(PCM)
    next(items)
    speech.put(SOUND[:640])
    assert speech.dropped == 8001 + 160


def test_only_so_many_marks_are_pending() -> None:
    speech = Speech()
    assert all(speech.mark(lambda: None) for _ in range(MOST_MARKS))
    assert not speech.mark(lambda: None)


@pytest.mark.parametrize("how", [Speech.clear, Speech.forget])
def test_what_is_forgotten_tells_nobody(how: Callable[[Speech], None]) -> None:
    speech, heard = Speech(), []
    speech.put(SOUND)
    speech.mark(lambda: heard.append("end"))
    how(speech)
    assert heard == (["end"] if how is Speech.clear else [])
