"""Spoken texts: sentence after sentence, each while it comes."""

import asyncio
import gc
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from mediaserver.audio.pcm import FRAME_BYTES
from mediaserver.errors import EngineError
from mediaserver.playout.sources.source import Clip, Playlist, Repeated
from mediaserver.speech.tts.interface import Voice
from mediaserver.speech.tts.spoken_text import SpokenText
from mediaserver.speech.tts.tts_cache import TtsCache
from mediaserver.support.store import Store
from mediaserver.wire.encapsulation import MESSAGE, PCM, Encoding
from tests.virtual import VirtualLoop, in_virtual_time

VOICE = Voice("scripted")


def sound(number: int, frames: float) -> bytes:
    return bytes([number]) * round(frames * FRAME_BYTES)


class Scripted:
    """Speaks what is given, part by part; a number is a wait in seconds, text an error."""

    identity = "scripted"

    def __init__(self, **texts: list[bytes | float | str]) -> None:
        self.texts = texts
        self.asked: list[str] = []

    async def synthesise(self, text: str, voice: Voice) -> AsyncGenerator[bytes, None]:
        self.asked.append(text)
        for part in self.texts[text]:
            match part:
                case bytes():
                    yield part
                case str():
                    raise EngineError(part)
                case _:
                    await asyncio.sleep(part)

    not_ready_reason = ""

    def preload(self) -> None:
        pass

    async def close(self) -> None:
        pass


def cache_of(
    engine: Scripted, timeout: float = 1.0, memory: int = 1_000_000, store: Store | None = None
) -> TtsCache:
    return TtsCache(engine, timeout, memory, store)


def spoken_of(cache: TtsCache, *texts: str, **options: Any) -> SpokenText:
    return SpokenText(texts, lambda text: cache.get_or_synthesise(text, VOICE), **options)


async def frames(spoken: SpokenText, start: int = 0, encoding: Encoding = PCM) -> list[int]:
    """The first byte of each frame as it is asked for every 20 ms, to the end: 0 is silence."""
    found = []
    for item in Playlist(spoken).items(encoding, start):
        found.append(encoding.decode(item)[0])
        await asyncio.sleep(0.02)
    return found


@in_virtual_time
async def test_a_sentence_is_heard_while_it_comes(loop: VirtualLoop) -> None:
    cache = cache_of(Scripted(a=[0.05, sound(1, 3), sound(2, 2)]))
    assert await frames(spoken_of(cache, "a")) == [0, 0, 0, 1, 1, 1, 2, 2]


@in_virtual_time
async def test_sentences_follow_each_other_without_a_gap(loop: VirtualLoop) -> None:
    """The second is made while the first is heard, and they join in the middle of a frame."""
    engine = Scripted(a=[0.01, sound(1, 3.5)], b=[0.06, sound(2, 2.5)])
    assert await frames(spoken_of(cache_of(engine), "a", "b")) == [0, 1, 1, 1, 1, 2, 2]
    assert engine.asked == ["a", "b"]


@in_virtual_time
async def test_a_third_sentence_is_not_made_before_it_is_near(loop: VirtualLoop) -> None:
    engine = Scripted(a=[sound(1, 50)], b=[sound(2, 1)], c=[sound(3, 1)])
    spoken = spoken_of(cache_of(engine), "a", "b", "c")
    playing = asyncio.ensure_future(frames(spoken))
    await asyncio.sleep(0.5)
    assert engine.asked == ["a", "b"]
    assert await playing == [0, *[1] * 50, 2, 3]


@in_virtual_time
async def test_it_goes_on_where_it_was_in_another_encoding(loop: VirtualLoop) -> None:
    spoken = spoken_of(cache_of(Scripted(a=[sound(1, 3)], b=[sound(2, 3)])), "a", "b")
    await frames(spoken)
    assert await frames(spoken, 2, MESSAGE) == [1, 2, 2, 2]


@in_virtual_time
async def test_who_says_it_meanwhile_or_later_shares_it(loop: VirtualLoop) -> None:
    engine = Scripted(a=[0.05, sound(1, 2)])
    cache = cache_of(engine)
    both = await asyncio.gather(frames(spoken_of(cache, "a")), frames(spoken_of(cache, "a")))
    assert both == [[0, 0, 0, 1, 1]] * 2
    items = list(Playlist(spoken_of(cache, "a")).items(PCM))
    again = list(Playlist(spoken_of(cache, "a")).items(PCM))
    assert engine.asked == ["a"]
    assert all(one is other for one, other in zip(items, again, strict=True))  # not even its items are made anew
    assert cache.results == {"memory": 3, "disk": 0, "made": 1, "failed": 0, "dropped": 0}


@pytest.mark.parametrize(
    ("parts", "heard", "why"),
    [
        (["refused"], [0, 9, 9], "refused"),
        ([sound(1, 2), "broke off"], [0, 1, 1, 9, 9], "broke off"),
        ([5.0], [*[0] * 50, 9, 9], "no sound within 1 s"),
        ([sound(1, 2), 5.0], [0, 1, 1, *[0] * 47, 9, 9], "no sound within 1 s"),
        ([], [0, 9, 9], "the engine gave no sound"),
    ],
)
@pytest.mark.parametrize("before", [False, True])
def test_where_the_engine_fails_the_fallback_is_heard(
    parts: list, heard: list[int], why: str, before: bool
) -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        told: list[str] = []
        cache = cache_of(Scripted(a=parts, b=[sound(2, 100)], first=[sound(3, 200)]))
        spoken = spoken_of(
            cache, *["first"] * before, "a", "b", fallback=Clip(sound(9, 2)), on_failure=told.append
        )
        come = await frames(spoken)
        if before:  # all that could be known of "a" was known when it was its turn
            assert come == [0, *[3] * 200, *[frame for frame in heard if frame]]
        else:
            assert come == heard
        assert told == [why]
        assert await frames(spoken) == [frame for frame in come if frame]  # the same once more
        assert told == [why]
        assert cache.results["failed"] == 1

    run()


@in_virtual_time
async def test_without_a_fallback_it_breaks(loop: VirtualLoop) -> None:
    spoken = spoken_of(cache_of(Scripted(a=["refused"])), "a")
    with pytest.raises(EngineError, match="refused"):
        await frames(spoken)


@in_virtual_time
async def test_who_asks_after_a_failure_has_it_tried_again(loop: VirtualLoop) -> None:
    engine = Scripted(a=["refused"])
    cache = cache_of(engine)
    assert await frames(spoken_of(cache, "a", fallback=Clip(sound(9, 1)))) == [0, 9]
    engine.texts["a"] = [sound(1, 2)]
    assert await frames(spoken_of(cache, "a")) == [0, 1, 1]


@in_virtual_time
async def test_memory_is_bounded_by_what_was_not_said_for_long(loop: VirtualLoop) -> None:
    engine = Scripted(a=[sound(1, 10)], b=[sound(2, 10)], c=[sound(3, 10)])
    cache = cache_of(engine, memory=2 * 10 * FRAME_BYTES * 3)
    for text in "abacab":
        await frames(spoken_of(cache, text))
    assert engine.asked == ["a", "b", "c", "b"]


def test_what_was_said_is_found_on_disk(tmp_path: Path) -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        for _ in range(2):
            cache = cache_of(engine, store=Store(str(tmp_path / "speech"), 1_000_000))
            assert await frames(spoken_of(cache, "a")) == [0, 1, 1]
            await cache.close()

    engine = Scripted(a=[sound(1, 2)])
    run()
    assert engine.asked == ["a"]


@in_virtual_time
async def test_half_a_sentence_is_not_kept(loop: VirtualLoop) -> None:
    class Nowhere:
        kept = 0

        def get(self, key: str) -> None:
            return None

        def put(self, key: str, data: bytes) -> None:
            self.kept += 1

    store = Nowhere()
    cache = TtsCache(Scripted(a=[sound(1, 2), "broke off"]), 1.0, 1000, store)  # type: ignore[arg-type]
    await frames(spoken_of(cache, "a", fallback=Clip(sound(9, 1))))
    assert store.kept == 0


class Queue(Scripted):
    """Speaks one text at a time; who is cancelled in the queue is not spoken."""

    def __init__(self, **texts: list[bytes | float | str]) -> None:
        super().__init__(**texts)
        self._turn = asyncio.Lock()

    async def synthesise(self, text: str, voice: Voice) -> AsyncGenerator[bytes, None]:
        async with self._turn:
            async for part in super().synthesise(text, voice):
                yield part


@in_virtual_time
async def test_what_nobody_waits_for_any_more_is_not_begun(loop: VirtualLoop) -> None:
    engine = Queue(a=[0.5, sound(1, 1)], b=[sound(2, 1)], c=[sound(3, 1)])
    cache = cache_of(engine)
    callers = [asyncio.ensure_future(frames(spoken_of(cache, text))) for text in "acbb"]
    for _ in "bb":
        await asyncio.sleep(0.1)
        callers.pop().cancel()
    await asyncio.gather(*callers)
    assert engine.asked == ["a", "c"]
    assert await frames(spoken_of(cache, "b")) == [0, 2]  # and who wants it later is as good as any
    assert cache.results == {"memory": 1, "disk": 0, "made": 3, "failed": 0, "dropped": 1}


@in_virtual_time
async def test_who_waits_still_is_not_forgotten_with_another(loop: VirtualLoop) -> None:
    cache = cache_of(Queue(a=[0.1, sound(1, 1)]))
    gone, waiting = (asyncio.ensure_future(frames(spoken_of(cache, "a"))) for _ in range(2))
    await asyncio.sleep(0.05)
    gone.cancel()
    assert (await waiting)[-1] == 1


@pytest.mark.parametrize("fallback", [None, Clip(sound(9, 1))])
def test_who_hangs_up_before_it_fails_leaves_no_word(
    fallback: Clip | None, caplog: pytest.LogCaptureFixture
) -> None:
    """No exception that nobody retrieved, no event on a stream that is over."""

    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        told: list[str] = []
        cache = cache_of(Scripted(a=[0.5, "refused"], b=[sound(2, 1)]))
        for stop in (lambda: asyncio.sleep(1.0), cache.close):
            playing = asyncio.ensure_future(
                frames(spoken_of(cache, "b", "a", fallback=fallback, on_failure=told.append))
            )
            await asyncio.sleep(0.1)
            playing.cancel()
            await stop()
        gc.collect()
        assert told == []
        assert not asyncio.all_tasks() - {asyncio.current_task()}

    run()
    assert caplog.text == ""


@in_virtual_time
async def test_what_came_before_a_failure_is_heard_to_its_end(loop: VirtualLoop) -> None:
    items = Playlist(spoken_of(cache_of(Scripted(a=[sound(1, 20)], b=["refused"])), "a", "b")).items(PCM)
    heard = []
    for _ in range(21):
        heard.append(PCM.decode(next(items))[0])
        await asyncio.sleep(0.02)
    assert heard == [0, *[1] * 20]
    with pytest.raises(EngineError, match="refused"):
        next(items)


@in_virtual_time
async def test_what_follows_a_failure_in_a_playlist_is_heard(loop: VirtualLoop) -> None:
    """Also after an engine that hangs: its fallback, in place of this text alone."""
    cache = cache_of(Scripted(a=[sound(1, 1)], b=[99.0], c=[sound(3, 1)]))
    spoken = spoken_of(cache, "a", "b", "c", fallback=Clip(sound(9, 2)))
    heard = []
    for item in Playlist(Repeated([Clip(sound(7, 3)), spoken, Clip(sound(8, 2))], 2)).items(PCM):
        heard.append(PCM.decode(item)[0])
        await asyncio.sleep(0.02)
    once = [7, 7, 7, 1, 9, 9, 8, 8]
    assert [frame for frame in heard if frame] == once * 2
    assert heard[len(heard) - len(once) :] == once  # nobody waits a second time
