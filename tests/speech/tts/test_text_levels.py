"""Spoken texts at the level of the prompts, judged by a meter that shares nothing with ours."""

import asyncio
import itertools
from typing import Any

import numpy as np
import pytest

from mediaserver.audio.level.levelling import PEAK_LIMIT
from mediaserver.audio.pcm import FRAME_BYTES, Samples, from_bytes, to_bytes
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.speech.engines.failover import Failover
from mediaserver.speech.tts.spoken_text import SpokenText
from mediaserver.speech.tts.synthesiser import Synthesiser
from mediaserver.speech.tts.text_levels import MEASURABLE
from mediaserver.speech.tts.tts_cache import TtsCache
from mediaserver.wire.encapsulation import PCM
from tests.audio import p56
from tests.sound import speechlike, voice
from tests.speech.tts.test_failover import DictStore
from tests.speech.tts.test_spoken_text import VOICE, ScriptedTts
from tests.virtual import VirtualLoop, in_virtual_time

LOUDNESS = -26.0
PIECE = 1600  # bytes: 100 ms, as a server streams them


def spoken(peak: float, seconds: float = 3.0, pause: float = 0.0) -> Samples:
    """A sentence in syllables, after a pause."""
    sound = voice(round(seconds * 8000), peak=peak)
    syllables = np.clip(np.sin(2 * np.pi * 3.7 * np.arange(len(sound)) / 8000), 0.02, 1)
    return np.concatenate((np.zeros(round(pause * 8000)), sound * syllables)).astype(np.int16)


def pieces(samples: Samples) -> list[bytes]:
    pcm = to_bytes(samples)
    return [pcm[at : at + PIECE] for at in range(0, len(pcm), PIECE)]


class Engine:
    """A voice that speaks the sentences of a script, with a cache at a level."""

    def __init__(
        self, script: dict[str, list[Any]], loudness: float | None = LOUDNESS, store: DictStore | None = None
    ) -> None:
        self.tts, self.store = ScriptedTts(**script), store if store is not None else DictStore()
        synthesiser = Synthesiser(self.tts)
        self.cache = TtsCache(
            lambda name: synthesiser,
            Failover("speech"),
            60.0,
            100_000_000,
            self.store,  # type: ignore[arg-type]
            loudness=loudness,
        )

    async def heard(self, text: str) -> Samples:
        """What a caller hears of a sentence."""
        said = SpokenText([text], lambda text: self.cache.get_or_synthesise(text, VOICE))
        pcm = await said.collect_pcm()
        await self.cache.close()  # until it is in the caches
        return from_bytes(pcm)


def assert_level(samples: Samples, within: float = 0.1, off: float = 0.0) -> None:
    assert p56.active_level(samples) == pytest.approx(LOUDNESS + off, abs=within)
    assert np.abs(samples.astype(int)).max() <= PEAK_LIMIT


@pytest.mark.parametrize("peak", [600, 3000, 12_000, 32_000])
@in_virtual_time
async def test_a_sentence_that_comes_whole_has_the_level_at_once(loop: VirtualLoop, peak: int) -> None:
    own = spoken(peak)
    engine = Engine({"a": [to_bytes(own)]})
    first, again = await engine.heard("a"), await engine.heard("a")
    assert_level(first)
    assert np.array_equal(first, again)
    assert np.corrcoef(own, first)[0, 1] > 0.999
    assert engine.tts.asked == ["a"]


@pytest.mark.parametrize("whole", [True, False])
@in_virtual_time
async def test_without_a_level_each_sample_is_the_engines(loop: VirtualLoop, whole: bool) -> None:
    own = spoken(5000)
    engine = Engine({"a": [to_bytes(own)] if whole else pieces(own)}, loudness=None)
    assert np.array_equal(await engine.heard("a"), own)
    assert np.array_equal(await engine.heard("a"), own)


@in_virtual_time
async def test_streamed_sentences_have_the_level_of_the_voice_and_their_own_when_said_again(
    loop: VirtualLoop,
) -> None:
    engine = Engine({name: pieces(spoken(peak)) for name, peak in zip("abc", (5000, 6000, 4250), strict=True)})
    assert_level(await engine.heard("a"), 3.0)
    louder, softer = 20 * np.log10(6000 / 5000), 20 * np.log10(4250 / 5000)
    assert_level(await engine.heard("b"), off=louder)
    assert_level(await engine.heard("c"), off=softer - louder / 4)  # the voice's gain is an average
    for text in "abc":
        assert_level(await engine.heard(text))
    assert engine.tts.asked == ["a", "b", "c"]


async def play(engine: Engine, text: str, loop: VirtualLoop) -> tuple[float, Samples]:
    """When a caller hears the first sound of a sentence, in seconds, and what is heard from then on."""
    said = SpokenText([text], lambda text: engine.cache.get_or_synthesise(text, VOICE))
    began, first, frames = loop.time(), None, []
    for item in Playlist(said).iter_frames(PCM, 0):
        frame = PCM.decode(item)
        if first is None and any(frame):
            first = loop.time() - began
        if first is not None:
            frames.append(frame)
        await asyncio.sleep(0.02)
    assert first is not None
    return first, from_bytes(b"".join(frames))


@in_virtual_time
async def test_only_the_first_sentence_of_a_voice_waits_until_it_is_measured(loop: VirtualLoop) -> None:
    """An engine that gives 100 ms of sound each 50 ms: 0.4 s after the pause before it are enough."""
    slowly = {
        name: list(itertools.chain.from_iterable((0.05, piece) for piece in pieces(spoken(5000, pause=0.2))))
        for name in "ab"
    }
    engine = Engine(slowly)
    first, heard = await play(engine, "a", loop)
    assert first == pytest.approx((0.2 + MEASURABLE / 8000 + 0.1) / 2 + 0.2, abs=0.08)  # the pause is heard, too
    assert_level(heard, 3.0)
    second, heard = await play(engine, "b", loop)
    assert second == pytest.approx(0.05 + 0.2, abs=0.05)
    assert_level(heard)


@in_virtual_time
async def test_a_peak_that_would_clip_lowers_the_gain_just_before_it(loop: VirtualLoop) -> None:
    soft = spoken(1500)
    burst = soft.copy()
    burst[12_345] = 20_000
    engine = Engine({"a": pieces(soft), "b": pieces(burst)})
    await engine.heard("a")
    heard = await engine.heard("b")
    gains = np.abs(heard[np.abs(burst) > 300] / burst[np.abs(burst) > 300])
    assert np.abs(heard.astype(int)).max() <= PEAK_LIMIT
    assert np.all(np.diff(gains) < 0.05)  # it only ever falls
    assert gains[0] > 2
    assert gains[-1] == pytest.approx(PEAK_LIMIT / 20_000, abs=0.01)
    steps = np.abs(np.diff(heard.astype(float)[11_900:12_300]))
    assert steps.max() < 3 * np.abs(np.diff(soft.astype(float))).max() * gains[0]  # the fall does not click
    assert np.abs((await engine.heard("b")).astype(int)).max() <= PEAK_LIMIT


@in_virtual_time
async def test_a_short_word_has_the_voices_gain_and_then_its_own(loop: VirtualLoop) -> None:
    engine = Engine({"a": [to_bytes(spoken(2000))], "no": [to_bytes(spoken(2000, 0.2))]})
    assert_level(await engine.heard("a"))
    word = await engine.heard("no")
    assert np.abs(word).max() > 2500
    assert_level(await engine.heard("no"), 0.5)


@in_virtual_time
async def test_a_short_word_of_an_unknown_voice_is_measured_at_its_end(loop: VirtualLoop) -> None:
    assert_level(await Engine({"no": pieces(spoken(2000, 0.3))}).heard("no"), 0.5)


@in_virtual_time
async def test_a_breath_before_the_first_word_of_an_unknown_voice_amplifies_little(loop: VirtualLoop) -> None:
    breath = np.random.default_rng(1).normal(0, 150, 6000).astype(np.int16)  # 0.75 s at -47 dBov
    sentence = np.concatenate((breath, spoken(9000)))
    engine = Engine({"a": pieces(sentence)})
    heard = await engine.heard("a")
    assert np.allclose(heard[: len(breath)], breath * 10 ** (6 / 20), atol=1)
    assert_level(await engine.heard("a"))


@in_virtual_time
async def test_a_sentence_without_a_level_tells_nothing_of_its_voice(loop: VirtualLoop) -> None:
    click = speechlike(50)
    assert p56.active_level(click) == -100
    engine = Engine({"a": pieces(spoken(2000)), "click": [to_bytes(click)], "b": pieces(spoken(2000))})
    for text in "a", "click":
        await engine.heard(text)
    assert_level(await engine.heard("b"))


@in_virtual_time
async def test_silence_stays_silence(loop: VirtualLoop) -> None:
    engine = Engine({"a": [bytes(FRAME_BYTES)] * 50})
    assert not (await engine.heard("a")).any()
    assert len(await engine.heard("a")) == 50 * 160


@pytest.mark.parametrize("loudness", [None, LOUDNESS])
@in_virtual_time
async def test_a_steady_offset_is_removed(loop: VirtualLoop, loudness: float | None) -> None:
    shifted = (spoken(4000).astype(int) + 3600).astype(np.int16)
    whole = await Engine({"a": [to_bytes(shifted)]}, loudness).heard("a")
    assert abs(whole.mean()) < 30
    streamed = Engine({name: pieces(shifted) for name in "ab"}, loudness)
    await streamed.heard("a")
    for text in "ab":  # the voice is known by now
        assert abs((await streamed.heard(text)).mean()) < 30


@in_virtual_time
async def test_the_disk_keeps_what_the_engine_gave_so_that_another_level_costs_no_synthesis(
    loop: VirtualLoop,
) -> None:
    own, store = spoken(2000), DictStore()
    await Engine({"a": pieces(own)}, store=store).heard("a")
    assert list(store.kept.values()) == [to_bytes(own)]
    for loudness in (-20.0, -35.0, None):
        engine = Engine({}, loudness, store)
        wanted = p56.active_level(own) if loudness is None else loudness
        assert p56.active_level(await engine.heard("a")) == pytest.approx(wanted, abs=0.1)
        assert engine.tts.asked == []
    assert np.array_equal(await Engine({}, None, store).heard("a"), own)
