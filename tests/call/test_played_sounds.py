"""What is remembered of the sounds of a call: their names, when they ended, and how much of them was heard."""

import asyncio
from collections.abc import Iterator

import numpy as np
import pytest

from mediaserver.call import Call
from mediaserver.playout.sources.live import LiveSource
from mediaserver.playout.sources.playlist import MusicWithAnnouncements, Playlist, Repeated
from mediaserver.playout.sources.source import Clip, Source, silence
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.virtual import VirtualLoop, in_virtual_time

SECOND = np.full(8000, 1000, dtype=np.int16)
A, B, C, D = (Clip(bytes(320), name) for name in "abcd")


@in_virtual_time
async def test_sounds_are_remembered_in_the_order_of_their_ends(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({"one": SECOND, "other": SECOND}))
    operator = caller.session.operator

    async def run(call: Call) -> None:
        await call.play("one")
        playing = asyncio.create_task(call.play("other"))
        await asyncio.sleep(0.4)
        playing.cancel()  # as a caller's key does
        await asyncio.sleep(0.6)
        await call.play(Source(iter(())))
        await call.silence()

    await caller.call(run, 5000, (3000, lambda: operator.play(Playlist([A, B, A]))))
    told = [(name, round(at, 1), round(seconds, 1), complete) for name, at, seconds, complete in operator.played]
    assert told == [
        ("one", 1.0, 1.0, True),
        ("other", 1.4, 0.4, False),
        ("sound", 2.0, 0.0, True),
        ("a, b", 3.1, 0.1, True),
    ]


@in_virtual_time
async def test_a_sound_that_fails_or_waits_to_the_end_is_remembered(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({"one": SECOND}))
    operator = caller.session.operator

    def broken() -> object:
        raise ZeroDivisionError
        yield b""

    async def run(call: Call) -> None:
        with pytest.raises(ZeroDivisionError):
            await call.play(Source(broken()))  # type: ignore[arg-type]
        await call.play(Playlist(Repeated([D], None)))

    await caller.call(run, 1000, (500, lambda: operator.play(Playlist([A]))))
    assert [(name, seconds, complete) for name, _, seconds, complete in operator.played] == [
        ("sound", 0.0, False),
        ("d", pytest.approx(1.0, abs=0.05), False),
        ("a", 0.0, False),
    ]


@in_virtual_time
async def test_of_many_sounds_the_latest_are_remembered(loop: VirtualLoop) -> None:
    caller = Caller(loop, library_of({}))
    operator = caller.session.operator

    async def run(call: Call) -> None:
        for n in range(103):
            await call.play(Clip(bytes(320), f"sound {n}"))

    await caller.call(run, 3000)
    assert [sound.name for sound in operator.played] == [f"sound {n}" for n in range(3, 103)]


class Made:
    """Segments that are made while they are iterated."""

    name = "text"

    def __iter__(self) -> Iterator[Clip]:
        raise AssertionError("they would be made by being looked at")


@pytest.mark.parametrize(
    ("source", "title"),
    [
        (Playlist([A]), "a"),
        (Playlist(Repeated([A, silence(100), B], 3, intro=[C])), "c, a, b"),
        (Playlist([A, B, C, D]), "a, b, c, …"),
        (Playlist(Repeated([[A, B], Made()], 1)), "a, b, text"),
        (Playlist(Made()), "text"),
        (Playlist(iter([A])), "sound"),
        (Playlist([silence(100)]), ""),
        (MusicWithAnnouncements(Playlist([A]), B, 100), "a"),
        (LiveSource(0), "live"),
        (Source([]), "sound"),
    ],
)
def test_a_source_has_a_title_that_makes_nothing(source: Source, title: str) -> None:
    assert source.title == title
