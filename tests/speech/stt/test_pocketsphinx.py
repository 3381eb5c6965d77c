"""The STT engine PocketSphinx: the words that it recognises, and its worker processes."""

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio.pcm import SAMPLE_BYTES, SILENCE, from_bytes
from mediaserver.config.speech_settings import RecognitionSettings
from mediaserver.errors import EngineError
from mediaserver.speech.engines.http_client import EngineHttpClient
from mediaserver.speech.stt.pocketsphinx import PocketSphinxStt
from tests.speech.recordings import recording_of, split_chunks
from tests.timing import PATIENCE, UNIT, eventually, late

pytest.importorskip("pocketsphinx", reason="pocketsphinx recognises what is said")
HELP, BALANCE, THANKS = "can you help me", "I want to know my account balance", "no thank you"


def engine_of(processes: int) -> PocketSphinxStt:
    return PocketSphinxStt(RecognitionSettings(processes=processes), EngineHttpClient())


async def sound_of(*parts: bytes, seconds: float = 0.0) -> AsyncIterator[bytes]:
    for part in parts:
        yield part
        await asyncio.sleep(seconds)


def utterance(text: str) -> list[bytes]:
    return split_chunks(SILENCE * 15 + recording_of(text) + SILENCE * 20)


def assert_understood(wanted: Sequence[str], recognised: Sequence[str]) -> None:
    """Assert that each text was recognised, with 80 % of all words.

    PocketSphinx finds the same words in the same audio, except for a C library's rounding. With other noise, and
    at another level, it found all of them.
    """
    assert len(recognised) == len(wanted), recognised
    words = [
        (word, text)
        for text, expected in zip(recognised, wanted, strict=True)
        for word in expected.lower().split()
    ]
    assert sum(word in text.split() for word, text in words) >= 0.8 * len(words), recognised


def from_first_sound(pcm: bytes) -> bytes:
    """The audio of a caller who speaks already when the utterance begins."""
    first = np.flatnonzero(np.abs(from_bytes(pcm)) > 300)[0]
    return pcm[first * SAMPLE_BYTES :]


def children(of: int | None = None) -> set[int]:
    """The ids of the worker processes of this process, or of the process `of`."""
    found, parent = set(), of or os.getpid()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            is_child = f"\nPPid:\t{parent}\n" in (folder / "status").read_text()
            listens = b"mediaserver.speech.stt.pocketsphinx_process" in (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if is_child and listens:
            found.add(int(folder.name))
    return found


async def test_words_are_recognised_with_partial_results() -> None:
    engine = engine_of(processes=1)
    engine.preload()
    try:
        partials: list[str] = []
        balance = await engine.recognise(sound_of(*utterance(BALANCE), seconds=0.03), partials.append)
        assert_understood([BALANCE], [balance.text])
        assert len(partials) >= 2
        assert len(set(partials)) == len(partials)
        assert len(children()) == 1
        assert_understood([HELP], [(await engine.recognise(sound_of(*utterance(HELP)), print)).text])
        wanted = ["i want to pay my bill", "tell me about my account"]
        at_once = [split_chunks(from_first_sound(recording_of(text))) for text in wanted]
        recognised = [(await engine.recognise(sound_of(*sound), print)).text for sound in at_once]
        assert_understood(wanted, recognised)
        assert (await engine.recognise(sound_of(SILENCE * 30), print)).text == ""
        assert (await engine.recognise(sound_of(), print)).text == ""
    finally:
        await engine.close()
    assert not children()


async def test_one_callers_voice_does_not_influence_the_next_utterance() -> None:
    """PocketSphinx adapts to a voice and its noise, here to a loud, distorted one, unless it is reset."""
    engine = engine_of(processes=1)
    try:
        marginal = utterance("what are your opening hours")
        first: list[str] = []
        second: list[str] = []
        one = await engine.recognise(sound_of(*marginal), first.append)
        other = b"".join(utterance(BALANCE))
        await engine.recognise(sound_of(bytes(byte ^ 0x55 for byte in other)), print)
        await engine.recognise(sound_of(other), print)
        again = await engine.recognise(sound_of(*marginal), second.append)
        assert one == again
    finally:
        await engine.close()


async def test_while_all_workers_are_busy_an_utterance_waits() -> None:
    engine = engine_of(processes=2)
    try:
        texts = [HELP, THANKS, HELP]
        found = await asyncio.gather(
            *(engine.recognise(sound_of(*utterance(text), seconds=0.01), lambda text: None) for text in texts)
        )
        assert_understood(texts, [each.text for each in found])
        assert len(children()) == 2
    finally:
        await engine.close()


async def test_a_worker_that_is_killed_costs_only_its_own_utterance() -> None:
    engine = engine_of(processes=1)
    try:
        recognising = asyncio.ensure_future(engine.recognise(sound_of(*[SILENCE] * 3000, seconds=0.02), print))
        await eventually(children)
        os.kill(children().pop(), signal.SIGKILL)
        with pytest.raises(EngineError, match="pocketsphinx: its process died"):
            await recognising
        assert_understood([HELP], [(await engine.recognise(sound_of(*utterance(HELP)), print)).text])
    finally:
        await engine.close()


async def test_a_cancelled_recognition_leaves_no_process_behind() -> None:
    engine = engine_of(processes=1)
    tasks = asyncio.all_tasks()
    asked = asyncio.Event()

    async def sound() -> AsyncIterator[bytes]:
        while True:
            asked.set()  # by a worker process that is ready
            yield SILENCE
            await asyncio.sleep(0.02)

    recognising = asyncio.ensure_future(engine.recognise(sound(), print))
    await asyncio.wait_for(asked.wait(), PATIENCE)
    began = time.monotonic()
    recognising.cancel()
    await asyncio.wait((recognising,))
    assert recognising.cancelled()
    assert time.monotonic() - began < UNIT + late()
    assert not children()
    assert asyncio.all_tasks() == tasks
    await engine.close()
