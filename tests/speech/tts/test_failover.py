"""A sentence that a TTS engine fails to speak is spoken by the next one: what callers hear, frame by frame."""

import asyncio
from typing import Any

import pytest

from mediaserver.audio.fade import fade_out
from mediaserver.errors import EngineError
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.playout.sources.source import Clip
from mediaserver.speech.engines.failover import PASSED_OVER, Failover
from mediaserver.speech.tts.interface import Voice
from mediaserver.speech.tts.spoken_text import SpokenText
from mediaserver.speech.tts.synthesiser import Synthesiser
from mediaserver.speech.tts.tts_cache import TtsCache
from mediaserver.wire.encapsulation import PCM
from tests.speech.tts.test_spoken_text import ScriptedTts, frames, sound
from tests.virtual import VirtualLoop, in_virtual_time

VOICE = Voice("one", "ann", others=(Voice("two", "ben"),))
DIED: list[Any] = [*[sound(1, 5)] * 6, 0.05, "died"]  # 30 frames, which are there at once


class DictStore:
    """A store in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}

    def get(self, key: str) -> bytes | None:
        return self.kept.get(key)

    def put(self, key: str, data: bytes) -> None:
        self.kept[key] = data


class Engines:
    """Two engines, whose identities are their names, with one cache."""

    def __init__(
        self, one: dict[str, list[Any]], two: dict[str, list[Any]], store: DictStore | None = None
    ) -> None:
        self.one, self.two = ScriptedTts(**one), ScriptedTts(**two)
        self.one.identity, self.two.identity = "one", "two"
        made = {"one": Synthesiser(self.one), "two": Synthesiser(self.two)}
        self.failover = Failover("speech")
        self.cache = TtsCache(made.__getitem__, self.failover, 1.0, 1_000_000, store)  # type: ignore[arg-type]

    def say(self, *texts: str, **options: Any) -> SpokenText:
        return SpokenText(texts, lambda text: self.cache.get_or_synthesise(text, VOICE), **options)

    @property
    def asked(self) -> tuple[list[str], list[str]]:
        return self.one.asked, self.two.asked


@pytest.mark.parametrize(
    ("one", "silent"),
    [(["refused"], 1), ([], 1), ([0.2, "refused"], 11), ([9.0], 26)],
    ids=["refused", "empty", "fails", "does not begin"],
)
def test_the_next_engine_speaks_where_one_does_not_begin(one: list[Any], silent: int) -> None:
    """It is tried at once, or after half of the time-out; the caller hears nothing else of it."""

    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        engines = Engines({"a": one}, {"a": [0.01, sound(2, 3)]})
        assert await frames(engines.say("a")) == [*[0] * silent, 2, 2, 2]
        assert engines.asked == (["a"], ["a"])

    run()


@in_virtual_time
async def test_a_sentence_that_breaks_off_before_it_is_heard_is_heard_in_one_voice(loop: VirtualLoop) -> None:
    """It was made ahead, while the sentence before it was played: the caller notices nothing but the voice."""
    engines = Engines({"a": [sound(1, 20)], "b": [sound(1, 5), 0.1, "died"]}, {"b": [0.1, sound(2, 10)]})
    assert await frames(engines.say("a", "b")) == [0, *[1] * 20, *[2] * 10]


@in_virtual_time
async def test_a_sentence_that_breaks_off_while_it_is_heard_begins_again(loop: VirtualLoop) -> None:
    """What there is of it is heard until the next engine's first sound is there: no frame of silence between."""
    engines = Engines({"a": DIED}, {"a": [0.21, sound(2, 10)]})
    played = b"".join(PCM.decode(item) for item in await items(engines.say("a")))
    heard = [played[at] for at in range(0, len(played), 320)]
    assert heard == [0, *[1] * 15, 1, *[2] * 10]  # the sixteenth fades out
    assert played[16 * 320 : 17 * 320] == fade_out(sound(1, 1))


async def items(spoken: SpokenText) -> list[bytes]:
    found = []
    for item in Playlist(spoken).iter_frames(PCM):
        found.append(item)
        await asyncio.sleep(0.02)
    return found


@in_virtual_time
async def test_the_silence_after_what_was_heard_is_what_the_next_engine_needs(loop: VirtualLoop) -> None:
    engines = Engines({"a": [sound(1, 5), 0.05, "died"]}, {"a": [0.3, sound(2, 10)]})  # 0.35 s, or 17.5 frames
    assert await frames(engines.say("a")) == [0, *[1] * 5, *[0] * 12, *[2] * 10]


@in_virtual_time
async def test_an_engine_that_stops_in_mid_sentence_has_half_of_the_timeout(loop: VirtualLoop) -> None:
    engines = Engines({"a": [0.01, sound(1, 5), 9.0]}, {"a": [sound(2, 10)]})
    assert await frames(engines.say("a")) == [0, *[1] * 5, *[0] * 20, *[2] * 10]


@in_virtual_time
async def test_the_rest_of_a_text_is_spoken_by_the_engine_that_works(loop: VirtualLoop) -> None:
    one: dict[str, list[Any]] = {"a": [sound(1, 10)], "b": ["died"], "c": [sound(1, 10)]}
    engines = Engines(one, {"b": [sound(2, 5)], "c": [sound(2, 5)]})
    assert await frames(engines.say("a", "b", "c")) == [0, *[1] * 10, *[2] * 10]
    assert engines.asked == (["a", "b"], ["b", "c"])


@in_virtual_time
async def test_the_fallback_is_played_where_no_engine_speaks(loop: VirtualLoop) -> None:
    failures: list[str] = []
    engines = Engines({"a": DIED}, {"a": [0.1, "out of order"]})
    spoken = engines.say("a", fallback=Clip(sound(9, 2)), on_failure=failures.append)
    assert await frames(spoken) == [0, *[1] * 30, 9, 9]
    assert failures == ["one: died; two: out of order"]
    with pytest.raises(EngineError, match=r"^one: died; two: out of order$"):
        await engines.say("a").collect_pcm()


@in_virtual_time
async def test_a_voice_is_never_kept_as_that_of_another_engine(loop: VirtualLoop) -> None:
    """For a minute the second voice is heard, from memory; then the first engine is asked again."""
    store = DictStore()
    engines = Engines({"a": DIED}, {"a": [sound(2, 3)]}, store)
    await frames(engines.say("a"))
    for _ in range(2):
        assert await frames(engines.say("a")) == [2, 2, 2]  # from memory, without its broken start
    assert engines.asked == (["a"], ["a"])
    assert store.kept == {'["two", "ben", 1.0, "en", "a"]': sound(2, 3)}
    await asyncio.sleep(PASSED_OVER)
    engines.one.texts["a"] = [sound(3, 3)]
    assert await frames(engines.say("a")) == [0, 3, 3, 3]
    assert await frames(engines.say("a")) == [3, 3, 3]
    assert store.kept.keys() == {'["one", "ann", 1.0, "en", "a"]', '["two", "ben", 1.0, "en", "a"]'}
    assert engines.cache.results == {"memory": 3, "disk": 0, "made": 2, "failed": 0, "dropped": 0}


@in_virtual_time
async def test_what_the_first_engine_has_spoken_is_heard_while_it_fails(loop: VirtualLoop) -> None:
    store = DictStore()
    store.put('["one", "ann", 1.0, "en", "old"]', sound(1, 2))
    engines = Engines({"a": [sound(1, 3)], "b": ["died"]}, {"b": [sound(2, 3)]}, store)
    assert await frames(engines.say("a", "b")) == [0, 1, 1, 1, 2, 2, 2]
    assert await frames(engines.say("a")) == [1, 1, 1]
    assert await frames(engines.say("old")) == [0, 1, 1]


@in_virtual_time
async def test_what_the_second_engine_has_spoken_is_found_on_disk(loop: VirtualLoop) -> None:
    store = DictStore()
    store.put('["two", "ben", 1.0, "en", "a"]', sound(2, 2))
    engines = Engines({"a": ["died"]}, {}, store)
    assert await frames(engines.say("a")) == [0, 2, 2]
    assert engines.asked == (["a"], [])
    assert engines.failover.health == {"one": False, "two": True}


@in_virtual_time
async def test_a_playlist_that_starts_anew_continues_at_the_same_frame(loop: VirtualLoop) -> None:
    """As where a recording of both sides begins. The broken start is a part of what was heard."""
    engines = Engines({"a": DIED}, {"a": [0.21, sound(2, 5), sound(2, 5)]})
    spoken = engines.say("a")
    playing, heard = Playlist(spoken).iter_frames(PCM), []
    for _ in range(20):
        heard.append(PCM.decode(next(playing))[0])
        await asyncio.sleep(0.02)
    assert heard == [0, *[1] * 16, *[2] * 3]
    again = Playlist(spoken).iter_frames(PCM, len(heard) - 1)  # without the silence of the beginning
    assert [PCM.decode(item)[0] for item in again] == [2] * 7


@in_virtual_time
async def test_a_repeated_text_has_no_broken_start(loop: VirtualLoop) -> None:
    engines = Engines({"a": [sound(1, 5), 0.05, "died"]}, {"a": [sound(2, 10)]})
    heard = []
    for item in Playlist(Repeated([engines.say("a")], 2)).iter_frames(PCM):
        heard.append(PCM.decode(item)[0])
        await asyncio.sleep(0.02)
    assert heard == [0, *[1] * 5, *[2] * 20]


@in_virtual_time
async def test_calls_that_share_a_sentence_all_hear_the_next_engine(loop: VirtualLoop) -> None:
    engines = Engines({"a": [0.09, *DIED]}, {"a": [0.21, sound(2, 10)]})
    early, late = engines.say("a"), engines.say("a")

    async def join_later() -> list[int]:
        await asyncio.sleep(0.2)
        return await frames(late)

    assert await asyncio.gather(frames(early), join_later()) == [
        [*[0] * 5, *[1] * 16, *[2] * 10],
        [*[0] * 8, *[2] * 10],  # when it begins, the sentence has broken off already
    ]
    assert engines.asked == (["a"], ["a"])
