"""The engine that needs no network: its words, its processes, and what becomes of them."""

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
from tests.speech.recordings import pieces, said
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
    return pieces(SILENCE * 15 + said(text) + SILENCE * 20)


def assert_understood(wanted: Sequence[str], heard: Sequence[str]) -> None:
    """That each text is told, with nearly all of its words. PocketSphinx finds the same ones in the same sound,
    but for a C library's rounding: with other noise, and at another level, it found all of them.
    """
    assert len(heard) == len(wanted), heard
    words = [(word, text) for text, told in zip(heard, wanted, strict=True) for word in told.lower().split()]
    assert sum(word in text.split() for word, text in words) >= 0.8 * len(words), heard


def from_its_first_sound(pcm: bytes) -> bytes:
    """As it is heard of who speaks already when we begin to hear."""
    first = np.flatnonzero(np.abs(from_bytes(pcm)) > 300)[0]
    return pcm[first * SAMPLE_BYTES :]


def children(of: int | None = None) -> set[int]:
    """The processes that recognise, ours or another's."""
    found, parent = set(), of or os.getpid()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            ours = f"\nPPid:\t{parent}\n" in (folder / "status").read_text()
            listens = b"mediaserver.speech.stt.pocketsphinx_process" in (folder / "cmdline").read_bytes()
        except OSError:
            continue
        if ours and listens:
            found.add(int(folder.name))
    return found


async def test_words_are_recognised_and_told_while_they_are_said() -> None:
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
        at_once = [pieces(from_its_first_sound(said(text))) for text in wanted]
        heard = [(await engine.recognise(sound_of(*sound), print)).text for sound in at_once]
        assert_understood(wanted, heard)
        assert (await engine.recognise(sound_of(SILENCE * 30), print)).text == ""
        assert (await engine.recognise(sound_of(), print)).text == ""
    finally:
        await engine.close()
    assert not children()


async def test_nothing_of_one_caller_is_left_for_the_next() -> None:
    """The engine itself adapts to a voice and its noise: to a loud, distorted one for a start."""
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


async def test_while_all_processes_are_busy_sound_waits() -> None:
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


async def test_a_process_that_is_killed_costs_its_utterance_only() -> None:
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


async def test_cancelled_nothing_is_left_behind() -> None:
    engine = engine_of(processes=1)
    tasks = asyncio.all_tasks()
    asked = asyncio.Event()

    async def sound() -> AsyncIterator[bytes]:
        while True:
            asked.set()  # by a process that is ready
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
