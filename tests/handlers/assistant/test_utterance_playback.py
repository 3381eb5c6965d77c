"""Playback of sentences: how far ahead they are synthesised, and what was heard after an interruption."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from mediaserver.call import Call
from mediaserver.handlers.assistant.utterance_playback import UtterancePlayback
from mediaserver.speech.tts.interface import Voice
from tests.handlers.assistant.scripted import LETTER, ScriptedCall, ScriptedSynthesiser
from tests.virtual import VirtualLoop, in_virtual_time

Patch = pytest.MonkeyPatch
SENTENCES = ["It is sunny today.", "And warm.", "Then comes rain.", "On Monday.", "On Tuesday.", "And so on."]


class Speaker:
    """Plays sentences on a call."""

    def __init__(self, loop: VirtualLoop, patch: Patch, synthesiser: ScriptedSynthesiser | None = None) -> None:
        self.loop, self.scripted = loop, ScriptedCall(loop, patch)
        if synthesiser is not None:
            self.scripted.synthesiser = synthesiser
        self.failures: list[str] = []
        call = self.scripted.caller.session.call
        self.playback = UtterancePlayback(call, call.speech.voice("", "some", None, ""), self.failures.append)

    async def say(self, sentences: list[str], ms: float, *acts: Any) -> None:
        async def run(call: Call) -> None:
            for sentence in sentences:
                self.playback.add_sentence(sentence)
            self.playback.finish()
            before = asyncio.all_tasks()
            await self.playback.run()
            self.ended = self.loop.time()
            await asyncio.sleep(0.001)  # what makes sentences is cancelled, and goes
            assert asyncio.all_tasks() - before <= {asyncio.current_task()}
            await call.silence()

        try:
            await self.scripted.caller.call(run, ms, *acts)
        finally:
            await self.scripted.caller.session.call.speech.close()


@in_virtual_time
async def test_all_sentences_are_played(loop: VirtualLoop, monkeypatch: Patch) -> None:
    speaker = Speaker(loop, monkeypatch)
    playback = speaker.playback
    assert (playback.text, playback.heard, playback.complete_text, playback.unheard, playback.began_at) == (
        "",
        "",
        "",
        [],
        None,
    )
    await speaker.say(SENTENCES[:2], 2000)
    text = " ".join(SENTENCES[:2])
    assert (playback.text, playback.heard, playback.complete_text, playback.unheard) == (text, text, text, [])
    assert (playback.interrupted, playback.failed, speaker.failures) == (False, False, [])
    length = sum(map(len, SENTENCES[:2])) * LETTER * 0.02
    assert speaker.ended == pytest.approx(length, abs=0.03)


@in_virtual_time
async def test_the_time_of_the_first_audio_is_noted(loop: VirtualLoop, monkeypatch: Patch) -> None:
    speaker = Speaker(loop, monkeypatch)
    speaker.scripted.synthesiser.slow = 0.3
    await speaker.say(SENTENCES[:3], 3000)
    ((first, _), *_) = speaker.scripted.heard()
    assert first == 300
    assert speaker.playback.began_at == pytest.approx(0.301)


@in_virtual_time
async def test_two_sentences_are_synthesised_ahead_and_no_more(loop: VirtualLoop, monkeypatch: Patch) -> None:
    speaker, asked = Speaker(loop, monkeypatch), []

    def look() -> None:
        asked.append(len(speaker.scripted.synthesiser.asked))

    first = len(SENTENCES[0]) * LETTER * 20
    await speaker.say(SENTENCES, 4000, (100, look), (first - 40, look), (first + 40, look), (3900, look))
    assert asked == [3, 3, 4, 6]


@in_virtual_time
async def test_a_stopped_playback_plays_no_more(loop: VirtualLoop, monkeypatch: Patch) -> None:
    speaker = Speaker(loop, monkeypatch)
    playback, first = speaker.playback, len(SENTENCES[0]) * LETTER * 20
    await speaker.say(SENTENCES, 4000, (first + 200, playback.stop))
    assert speaker.scripted.heard()[-1][1] <= first + 240
    assert playback.interrupted
    assert (playback.complete_text, playback.unheard) == (SENTENCES[0], SENTENCES[1:])
    assert playback.heard == f"{SENTENCES[0]} And… [interrupted by the caller]"
    assert speaker.scripted.synthesiser.asked == SENTENCES[:4]
    assert speaker.failures == []


@in_virtual_time
async def test_a_playback_stopped_before_its_first_audio_was_not_heard(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    speaker = Speaker(loop, monkeypatch)
    speaker.scripted.synthesiser.slow = 1.0
    await speaker.say(SENTENCES[:2], 3000, (500, speaker.playback.stop))
    assert (speaker.playback.heard, speaker.playback.unheard) == ("", SENTENCES[:2])
    assert speaker.playback.began_at is None
    assert speaker.scripted.heard() == []


@in_virtual_time
async def test_where_tts_fails_the_rest_is_skipped_and_the_failure_reported_once(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    speaker = Speaker(loop, monkeypatch)
    loop.call_later(0.1, setattr, speaker.scripted.synthesiser, "error", "it is down")
    speaker.scripted.synthesiser.slow = 0.05  # the first is made by then; all others fail
    await speaker.say(SENTENCES, 4000)
    playback = speaker.playback
    assert speaker.failures == ["it is down"]
    assert (playback.failed, playback.interrupted) == (True, False)
    assert playback.complete_text == playback.heard
    assert playback.unheard
    assert playback.unheard[-1] == SENTENCES[-1]
    assert len(speaker.scripted.synthesiser.asked) < len(SENTENCES)


class Slowly(ScriptedSynthesiser):
    """Speaks the first tenth of a second, and has nothing more for long."""

    async def synthesise(self, text: str, voice: Voice) -> AsyncGenerator[bytes, None]:
        self.voice = voice
        yield b"\1\1" * 800
        await asyncio.sleep(60)


@in_virtual_time
async def test_the_heard_part_of_a_sentence_of_unknown_length_is_estimated(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    """By the usual rate of speech: five frames are a letter and a half."""
    synthesiser = Slowly()
    speaker = Speaker(loop, monkeypatch, synthesiser)
    await speaker.say(["I am sure that it is sunny."], 1000, (500, speaker.playback.stop))
    assert speaker.playback.heard == "I… [interrupted by the caller]"
    assert synthesiser.voice.name == "some"


@in_virtual_time
async def test_sentences_may_be_added_during_the_playback(loop: VirtualLoop, monkeypatch: Patch) -> None:
    speaker = Speaker(loop, monkeypatch)
    playback, session = speaker.playback, speaker.scripted.caller.session

    async def run(call: Call) -> None:
        loop.call_later(0.5, playback.add_sentence, "One.")
        loop.call_later(2.0, playback.add_sentence, "Two.")
        loop.call_later(3.0, playback.finish)
        await playback.run()
        assert loop.time() == 3.0

    await speaker.scripted.caller.call(run, 4000)
    await session.call.speech.close()
    assert [start for start, _ in speaker.scripted.heard()] == [500, 2000]
    assert playback.heard == "One. Two."


@in_virtual_time
async def test_cancelling_a_playback_stops_it(loop: VirtualLoop, monkeypatch: Patch) -> None:
    speaker = Speaker(loop, monkeypatch)

    async def run(call: Call) -> None:
        for sentence in SENTENCES:
            speaker.playback.add_sentence(sentence)
        tasks = asyncio.all_tasks()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(speaker.playback.run(), 0.3)
        await asyncio.sleep(0.001)
        assert asyncio.all_tasks() <= tasks
        await call.silence()

    await speaker.scripted.caller.call(run, 1000)
    await speaker.scripted.caller.session.call.speech.close()
    ((_, stop),) = speaker.scripted.heard()
    assert stop <= 320
