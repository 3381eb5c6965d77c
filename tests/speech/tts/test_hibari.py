"""hibari, as it is: real processes that speak."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio import levels
from mediaserver.audio.pcm import from_bytes
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.playout.sources.source import Playlist
from mediaserver.speech.engines.requirements import EngineKind, EngineRequirement
from mediaserver.speech.service import SpeechService
from mediaserver.speech.tts.spoken_text import SpokenText
from mediaserver.wire.encapsulation import PCM
from tests.timing import TIMEOUT, eventually

pytest.importorskip("hibari")
TEXT = "Your position is three."


@pytest.fixture
async def speech() -> AsyncIterator[SpeechService]:
    """A server's speech, its one process started."""
    made = SpeechService(SpeechSettings(timeout=TIMEOUT))
    made.preload([EngineRequirement(EngineKind.TTS)])
    yield made
    await made.close()


async def sound(spoken: SpokenText) -> np.ndarray:
    return from_bytes(await spoken.collect_pcm())


def children() -> list[int]:
    """The processes that speak."""
    found = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
    return [int(pid) for pid in found if b"hibari_process" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def test_it_speaks_as_loud_as_a_prompt_and_the_same_each_time(speech: SpeechService) -> None:
    heard = await sound(speech.say(TEXT))
    assert 1.0 < len(heard) / 8000 < 3.0
    assert -24 < levels.loudness_lufs(heard) < -17
    assert levels.peak_dbfs(heard) < -0.5
    other = SpeechService(SpeechSettings(timeout=TIMEOUT))
    try:
        assert (await sound(other.say(TEXT)) == heard).all()  # by another process
    finally:
        await other.close()
    audible = np.flatnonzero(np.abs(heard) > 100)
    assert audible[0] < 0.1 * 8000  # nobody waits for silence
    slow, fast = [await sound(speech.say(TEXT, speech.voice(rate=rate))) for rate in (0.6, 1.8)]
    assert len(slow) > 1.3 * len(heard) > 1.3 * 1.2 * len(fast)


async def test_a_second_caller_is_given_the_very_same_items(speech: SpeechService) -> None:
    await speech.say(TEXT).collect_pcm()
    first, second = (list(Playlist(speech.say(TEXT)).items(PCM)) for _ in range(2))
    assert len(first) > 50
    assert all(one is other for one, other in zip(first, second, strict=True))
    assert speech.results == {"memory": 2, "disk": 0, "made": 1, "failed": 0, "dropped": 0}


async def test_a_text_is_made_sentence_by_sentence(speech: SpeechService) -> None:
    spoken = speech.say("Thank you for calling. You are next.")
    assert spoken.texts == ["Thank you for calling.", "You are next."]
    parts = [await sound(speech.say(text)) for text in spoken.texts]
    assert (await sound(spoken) == np.concatenate(parts)).all()


async def test_a_process_that_is_killed_costs_no_sentence(speech: SpeechService) -> None:
    await speech.say("Warm.").collect_pcm()
    (before,) = children()
    whole = asyncio.ensure_future(speech.say("One, two, three, four, five, six, seven. " * 4).collect_pcm())
    await asyncio.sleep(0)  # it is asked for
    os.kill(before, signal.SIGKILL)
    assert len(await whole) > 8000
    assert len(await speech.say("And on it goes.").collect_pcm()) > 8000
    assert before not in children()
    assert speech.results["failed"] == 0


async def test_what_nobody_waits_for_any_more_is_finished(tmp_path: Path) -> None:
    """To kill and start a process for each sentence that comes too late would make them all too late."""
    hasty = SpeechService(SpeechSettings(timeout=0.02))
    hasty.preload([EngineRequirement(EngineKind.TTS)])
    try:
        await eventually(children)
        (process,) = children()
        spoken = [hasty.say(f"Number {number}.") for number in range(5)]
        for each in spoken:
            with pytest.raises(Exception, match=r"no sound within 0\.02 s"):
                await each.collect_pcm()
        await eventually(lambda: not next(iter(hasty._tts_caches.values()))._engine._workers._jobs)  # type: ignore[attr-defined]
        assert children() == [process]
    finally:
        await hasty.close()
    assert children() == []


@pytest.mark.parametrize(
    ("voice", "why"),
    [("nobody", 'hibari has no voice "nobody": heart, '), ("emma", 'the voice "emma" cannot be had: ')],
)
async def test_a_voice_that_is_not_there(
    voice: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIBARI_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no way out
    speech = SpeechService(SpeechSettings(timeout=TIMEOUT))
    try:
        with pytest.raises(Exception, match=why):
            await speech.say("Hello.", speech.voice(name=voice)).collect_pcm()
        assert len(await speech.say("Hello.").collect_pcm()) > 4000
    finally:
        await speech.close()


async def test_what_was_said_is_there_after_a_restart(tmp_path: Path) -> None:
    sounds = []
    for result in ("made", "disk"):
        speech = SpeechService(SpeechSettings(timeout=TIMEOUT), store=tmp_path / "speech")
        sounds.append(await speech.say(TEXT).collect_pcm())
        assert speech.results[result] == 1
        await speech.close()
    assert sounds[0] == sounds[1]


@pytest.mark.parametrize("text", ["", "  \n", "...", "🙂", "\x00"])
async def test_nothing_is_not_said(text: str) -> None:
    with pytest.raises(ValueError, match="there is nothing to say"):
        SpeechService().say(text)


async def test_too_much_is_not_said() -> None:
    with pytest.raises(ValueError, match=r"the text has 1001 characters: speech.max_characters is 1000"):
        SpeechService().say("a" * 1001)
