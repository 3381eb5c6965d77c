"""Spoken texts and the TTS cache: sentences are played while they are synthesised, and shared."""

import asyncio
import gc
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from mediaserver.audio.pcm import FRAME_BYTES
from mediaserver.errors import EngineError
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.playout.sources.source import Clip
from mediaserver.speech.engines.failover import Failover
from mediaserver.speech.tts.interface import Voice
from mediaserver.speech.tts.spoken_text import SpokenText
from mediaserver.speech.tts.synthesiser import Synthesiser
from mediaserver.speech.tts.tts_cache import TtsCache
from mediaserver.support.store import Store
from mediaserver.wire.encapsulation import MESSAGE, PCM, Encoding
from tests.virtual import VirtualLoop, in_virtual_time

VOICE = Voice("scripted")


def sound(number: int, frames: float) -> bytes:
    return bytes([number]) * round(frames * FRAME_BYTES)


class ScriptedTts:
    """A TTS engine that gives scripted parts for a text: PCM, a wait in seconds, or an error's text."""

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
    engine: ScriptedTts, timeout: float = 1.0, memory: int = 1_000_000, store: Store | None = None
) -> TtsCache:
    return TtsCache(lambda name: Synthesiser(engine), Failover("speech"), timeout, memory, store)


def spoken_of(cache: TtsCache, *texts: str, **options: Any) -> SpokenText:
    return SpokenText(texts, lambda text: cache.get_or_synthesise(text, VOICE), **options)


async def frames(spoken: SpokenText, start: int = 0, encoding: Encoding = PCM) -> list[int]:
    """Play a text to its end, a frame every 20 ms; return the first byte of each frame. 0 is silence."""
    found = []
    for item in Playlist(spoken).iter_frames(encoding, start):
        found.append(encoding.decode(item)[0])
        await asyncio.sleep(0.02)
    return found


@in_virtual_time
async def test_a_sentence_is_played_while_it_is_synthesised(loop: VirtualLoop) -> None:
    cache = cache_of(ScriptedTts(a=[0.05, sound(1, 3), sound(2, 2)]))
    assert await frames(spoken_of(cache, "a")) == [0, 0, 0, 1, 1, 1, 2, 2]


@in_virtual_time
async def test_sentences_follow_each_other_without_a_gap(loop: VirtualLoop) -> None:
    """The second one is synthesised while the first one plays, and they join inside a frame."""
    engine = ScriptedTts(a=[0.01, sound(1, 3.5)], b=[0.06, sound(2, 2.5)])
    assert await frames(spoken_of(cache_of(engine), "a", "b")) == [0, 1, 1, 1, 1, 2, 2]
    assert engine.asked == ["a", "b"]


@in_virtual_time
async def test_a_third_sentence_is_not_synthesised_while_the_first_one_plays(loop: VirtualLoop) -> None:
    engine = ScriptedTts(a=[sound(1, 50)], b=[sound(2, 1)], c=[sound(3, 1)])
    spoken = spoken_of(cache_of(engine), "a", "b", "c")
    playing = asyncio.ensure_future(frames(spoken))
    await asyncio.sleep(0.5)
    assert engine.asked == ["a", "b"]
    assert await playing == [0, *[1] * 50, 2, 3]


@in_virtual_time
async def test_a_text_continues_at_the_same_frame_in_another_encoding(loop: VirtualLoop) -> None:
    spoken = spoken_of(cache_of(ScriptedTts(a=[sound(1, 3)], b=[sound(2, 3)])), "a", "b")
    await frames(spoken)
    assert await frames(spoken, 2, MESSAGE) == [1, 2, 2, 2]


@in_virtual_time
async def test_calls_share_a_sentence_while_it_is_synthesised_and_later(loop: VirtualLoop) -> None:
    engine = ScriptedTts(a=[0.05, sound(1, 2)])
    cache = cache_of(engine)
    both = await asyncio.gather(frames(spoken_of(cache, "a")), frames(spoken_of(cache, "a")))
    assert both == [[0, 0, 0, 1, 1]] * 2
    items = list(Playlist(spoken_of(cache, "a")).iter_frames(PCM))
    again = list(Playlist(spoken_of(cache, "a")).iter_frames(PCM))
    assert engine.asked == ["a"]
    assert all(one is other for one, other in zip(items, again, strict=True))  # even the encoded frames are shared
    assert cache.results == {"memory": 3, "disk": 0, "made": 1, "failed": 0, "dropped": 0}


@pytest.mark.parametrize(
    ("parts", "expected", "why"),
    [
        (["refused"], [0, 9, 9], "refused"),
        ([sound(1, 2), "broke off"], [0, 1, 1, 9, 9], "broke off"),
        ([5.0], [*[0] * 50, 9, 9], "no sound within 1 s"),
        ([sound(1, 2), 5.0], [0, 1, 1, *[0] * 47, 9, 9], "no sound within 1 s"),
        ([], [0, 9, 9], "the engine gave no sound"),
    ],
)
@pytest.mark.parametrize("before", [False, True])
def test_the_fallback_is_played_where_the_engine_fails(
    parts: list, expected: list[int], why: str, before: bool
) -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        failures: list[str] = []
        cache = cache_of(ScriptedTts(a=parts, b=[sound(2, 100)], first=[sound(3, 200)]))
        spoken = spoken_of(
            cache, *["first"] * before, "a", "b", fallback=Clip(sound(9, 2)), on_failure=failures.append
        )
        played = await frames(spoken)
        if before:  # synthesis of "a" has failed before its turn came
            assert played == [0, *[3] * 200, *[frame for frame in expected if frame]]
        else:
            assert played == expected
        assert failures == [why]
        assert await frames(spoken) == [frame for frame in played if frame]  # the second time is like the first
        assert failures == [why]
        assert cache.results["failed"] == 1

    run()


@in_virtual_time
async def test_without_a_fallback_a_failure_raises(loop: VirtualLoop) -> None:
    spoken = spoken_of(cache_of(ScriptedTts(a=["refused"])), "a")
    with pytest.raises(EngineError, match="refused"):
        await frames(spoken)


@in_virtual_time
async def test_a_failed_sentence_is_tried_again_when_it_is_asked_for_again(loop: VirtualLoop) -> None:
    engine = ScriptedTts(a=["refused"])
    cache = cache_of(engine)
    assert await frames(spoken_of(cache, "a", fallback=Clip(sound(9, 1)))) == [0, 9]
    engine.texts["a"] = [sound(1, 2)]
    assert await frames(spoken_of(cache, "a")) == [0, 1, 1]


@in_virtual_time
async def test_the_least_recently_used_sentences_are_dropped_from_memory(loop: VirtualLoop) -> None:
    engine = ScriptedTts(a=[sound(1, 10)], b=[sound(2, 10)], c=[sound(3, 10)])
    cache = cache_of(engine, memory=2 * 10 * FRAME_BYTES * 3)
    for text in "abacab":
        await frames(spoken_of(cache, text))
    assert engine.asked == ["a", "b", "c", "b"]


def test_a_sentence_is_found_on_disk(tmp_path: Path) -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        for _ in range(2):
            cache = cache_of(engine, store=Store(str(tmp_path / "speech"), 1_000_000))
            assert await frames(spoken_of(cache, "a")) == [0, 1, 1]
            await cache.close()

    engine = ScriptedTts(a=[sound(1, 2)])
    run()
    assert engine.asked == ["a"]


@in_virtual_time
async def test_an_incomplete_sentence_is_not_saved(loop: VirtualLoop) -> None:
    class CountingStore:
        kept = 0

        def get(self, key: str) -> None:
            return None

        def put(self, key: str, data: bytes) -> None:
            self.kept += 1

    store = CountingStore()
    cache = cache_of(ScriptedTts(a=[sound(1, 2), "broke off"]), 1.0, 1000, store)  # type: ignore[arg-type]
    await frames(spoken_of(cache, "a", fallback=Clip(sound(9, 1))))
    assert store.kept == 0


class SerialTts(ScriptedTts):
    """Synthesises one text at a time; a text that is cancelled while it waits is never started."""

    def __init__(self, **texts: list[bytes | float | str]) -> None:
        super().__init__(**texts)
        self._turn = asyncio.Lock()

    async def synthesise(self, text: str, voice: Voice) -> AsyncGenerator[bytes, None]:
        async with self._turn:
            async for part in super().synthesise(text, voice):
                yield part


@in_virtual_time
async def test_a_sentence_that_all_calls_gave_up_is_not_started(loop: VirtualLoop) -> None:
    engine = SerialTts(a=[0.5, sound(1, 1)], b=[sound(2, 1)], c=[sound(3, 1)])
    cache = cache_of(engine)
    callers = [asyncio.ensure_future(frames(spoken_of(cache, text))) for text in "acbb"]
    for _ in "bb":
        await asyncio.sleep(0.1)
        callers.pop().cancel()
    await asyncio.gather(*callers)
    assert engine.asked == ["a", "c"]
    assert await frames(spoken_of(cache, "b")) == [0, 2]  # a later call has it synthesised
    assert cache.results == {"memory": 1, "disk": 0, "made": 3, "failed": 0, "dropped": 1}


@in_virtual_time
async def test_a_sentence_goes_on_for_the_calls_that_still_wait(loop: VirtualLoop) -> None:
    cache = cache_of(SerialTts(a=[0.1, sound(1, 1)]))
    gone, waiting = (asyncio.ensure_future(frames(spoken_of(cache, "a"))) for _ in range(2))
    await asyncio.sleep(0.05)
    gone.cancel()
    assert (await waiting)[-1] == 1


@pytest.mark.parametrize("fallback", [None, Clip(sound(9, 1))])
def test_a_failure_after_the_caller_hung_up_is_not_reported(
    fallback: Clip | None, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no unretrieved exception in the log, and no event on a stream that has ended."""

    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        failures: list[str] = []
        cache = cache_of(ScriptedTts(a=[0.5, "refused"], b=[sound(2, 1)]))
        for stop in (lambda: asyncio.sleep(1.0), cache.close):
            playing = asyncio.ensure_future(
                frames(spoken_of(cache, "b", "a", fallback=fallback, on_failure=failures.append))
            )
            await asyncio.sleep(0.1)
            playing.cancel()
            await stop()
        gc.collect()
        assert failures == []
        assert not asyncio.all_tasks() - {asyncio.current_task()}

    run()
    assert caplog.text == ""


@in_virtual_time
async def test_the_sentence_before_a_failure_is_played_to_its_end(loop: VirtualLoop) -> None:
    items = Playlist(spoken_of(cache_of(ScriptedTts(a=[sound(1, 20)], b=["refused"])), "a", "b")).iter_frames(PCM)
    played = []
    for _ in range(21):
        played.append(PCM.decode(next(items))[0])
        await asyncio.sleep(0.02)
    assert played == [0, *[1] * 20]
    with pytest.raises(EngineError, match="refused"):
        next(items)


@in_virtual_time
async def test_a_playlist_goes_on_after_a_failure(loop: VirtualLoop) -> None:
    """After an engine that hangs, too: the fallback replaces the text alone."""
    cache = cache_of(ScriptedTts(a=[sound(1, 1)], b=[99.0], c=[sound(3, 1)]))
    spoken = spoken_of(cache, "a", "b", "c", fallback=Clip(sound(9, 2)))
    played = []
    for item in Playlist(Repeated([Clip(sound(7, 3)), spoken, Clip(sound(8, 2))], 2)).iter_frames(PCM):
        played.append(PCM.decode(item)[0])
        await asyncio.sleep(0.02)
    once = [7, 7, 7, 1, 9, 9, 8, 8]
    assert [frame for frame in played if frame] == once * 2
    assert played[len(played) - len(once) :] == once  # the second round does not wait for the time-out
