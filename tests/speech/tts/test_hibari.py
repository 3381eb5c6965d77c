"""The TTS engine hibari, in real worker processes."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio.level import levels
from mediaserver.audio.pcm import from_bytes
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.speech.engines.requirements import EngineKind, EngineRequirement
from mediaserver.speech.service import SpeechService
from mediaserver.speech.tts.spoken_text import SpokenText
from mediaserver.wire.encapsulation import PCM
from tests.timing import TIMEOUT, eventually

pytest.importorskip("hibari")
TEXT = "Your position is three."


@pytest.fixture
async def speech() -> AsyncIterator[SpeechService]:
    """A speech service whose worker process is started."""
    made = SpeechService(SpeechSettings(timeout=TIMEOUT))
    made.preload([EngineRequirement(EngineKind.TTS)])
    yield made
    await made.close()


async def samples_of(spoken: SpokenText) -> np.ndarray:
    return from_bytes(await spoken.collect_pcm())


def worker_processes() -> list[int]:
    """The ids of the worker processes."""
    found = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
    return [int(pid) for pid in found if b"hibari_process" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def test_speech_is_as_loud_as_a_prompt_and_the_same_each_time(speech: SpeechService) -> None:
    samples = await samples_of(speech.say(TEXT))
    assert 1.0 < len(samples) / 8000 < 3.0
    assert -24 < levels.loudness_lufs(samples) < -17
    assert levels.peak_dbfs(samples) < -0.5
    other = SpeechService(SpeechSettings(timeout=TIMEOUT))
    try:
        assert (await samples_of(other.say(TEXT)) == samples).all()  # made by another process
    finally:
        await other.close()
    audible = np.flatnonzero(np.abs(samples) > 100)
    assert audible[0] < 0.1 * 8000  # callers do not wait for leading silence
    slow, fast = [await samples_of(speech.say(TEXT, speech.voice(rate=rate))) for rate in (0.6, 1.8)]
    assert len(slow) > 1.3 * len(samples) > 1.3 * 1.2 * len(fast)


async def test_a_second_call_shares_the_encoded_frames(speech: SpeechService) -> None:
    await speech.say(TEXT).collect_pcm()
    first, second = (list(Playlist(speech.say(TEXT)).iter_frames(PCM)) for _ in range(2))
    assert len(first) > 50
    assert all(one is other for one, other in zip(first, second, strict=True))
    assert speech.results == {"memory": 2, "disk": 0, "made": 1, "failed": 0, "dropped": 0}


async def test_a_text_is_synthesised_sentence_by_sentence(speech: SpeechService) -> None:
    spoken = speech.say("Thank you for calling. You are next.")
    assert spoken.texts == ["Thank you for calling.", "You are next."]
    parts = [await samples_of(speech.say(text)) for text in spoken.texts]
    assert (await samples_of(spoken) == np.concatenate(parts)).all()


async def test_a_worker_that_is_killed_costs_no_sentence(speech: SpeechService) -> None:
    await speech.say("Warm.").collect_pcm()
    (before,) = worker_processes()
    whole = asyncio.ensure_future(speech.say("One, two, three, four, five, six, seven. " * 4).collect_pcm())
    await asyncio.sleep(0)  # synthesis is asked for
    os.kill(before, signal.SIGKILL)
    assert len(await whole) > 8000
    assert len(await speech.say("And on it goes.").collect_pcm()) > 8000
    assert before not in worker_processes()
    assert speech.results["failed"] == 0


async def test_a_sentence_that_timed_out_is_finished_by_its_worker(tmp_path: Path) -> None:
    """A worker that was killed for each late sentence would have to start anew, and make all sentences late."""
    impatient = SpeechService(SpeechSettings(timeout=0.02))
    impatient.preload([EngineRequirement(EngineKind.TTS)])
    try:
        await eventually(worker_processes)
        (process,) = worker_processes()
        spoken = [impatient.say(f"Number {number}.") for number in range(5)]
        for each in spoken:
            with pytest.raises(Exception, match=r"no sound within 0\.?\d* s"):
                await each.collect_pcm()
        await eventually(lambda: not impatient._synthesiser("hibari").engine._workers._jobs)  # type: ignore[attr-defined]
        assert worker_processes() == [process]
    finally:
        await impatient.close()
    assert worker_processes() == []


@pytest.mark.parametrize(
    ("voice", "why"),
    [("nobody", 'hibari has no voice "nobody": heart, '), ("emma", 'the voice "emma" cannot be loaded: ')],
)
async def test_a_voice_that_is_unknown_or_cannot_be_downloaded_is_an_error(
    voice: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIBARI_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # a proxy that is not there: no network
    speech = SpeechService(SpeechSettings(timeout=TIMEOUT))
    try:
        with pytest.raises(Exception, match=why):
            await speech.say("Hello.", speech.voice(name=voice)).collect_pcm()
        assert len(await speech.say("Hello.").collect_pcm()) > 4000
    finally:
        await speech.close()


async def test_a_sentence_is_found_on_disk_after_a_restart(tmp_path: Path) -> None:
    sounds = []
    for result in ("made", "disk"):
        speech = SpeechService(SpeechSettings(timeout=TIMEOUT), store=tmp_path / "speech")
        sounds.append(await speech.say(TEXT).collect_pcm())
        assert speech.results[result] == 1
        await speech.close()
    assert sounds[0] == sounds[1]


@pytest.mark.parametrize("text", ["", "  \n", "...", "🙂", "\x00"])
async def test_a_text_without_letters_and_digits_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="there is nothing to say"):
        SpeechService().say(text)


async def test_a_text_that_is_too_long_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the text has 1001 characters: speech.max_characters is 1000"):
        SpeechService().say("a" * 1001)
