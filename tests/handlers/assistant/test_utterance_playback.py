"""What is said in one go: how far ahead it is made, what was heard of it, and what becomes of the rest."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from mediaserver.call import Call
from mediaserver.handlers.assistant.utterance_playback import UtterancePlayback
from mediaserver.speech.tts.interface import Voice
from tests.handlers.assistant.scripted import LETTER, Talk, Voicebox
from tests.virtual import VirtualLoop, in_virtual_time

Patch = pytest.MonkeyPatch
SENTENCES = ["It is sunny today.", "And warm.", "Then comes rain.", "On Monday.", "On Tuesday.", "And so on."]


class Speaker:
    """Says sentences on a stream."""

    def __init__(self, loop: VirtualLoop, patch: Patch, voicebox: Voicebox | None = None) -> None:
        self.loop, self.talk = loop, Talk(loop, patch)
        if voicebox is not None:
            self.talk.voicebox = voicebox
        self.failures: list[str] = []
        call = self.talk.caller.session.call
        self.saying = UtterancePlayback(call, call.speech.voice("", "some", None, ""), self.failures.append)

    async def say(self, sentences: list[str], ms: float, *acts: Any) -> None:
        async def run(call: Call) -> None:
            for sentence in sentences:
                self.saying.add_sentence(sentence)
            self.saying.finish()
            before = asyncio.all_tasks()
            await self.saying.run()
            self.ended = self.loop.time()
            await asyncio.sleep(0.001)  # what makes sentences is cancelled, and goes
            assert asyncio.all_tasks() - before <= {asyncio.current_task()}
            await call.silence()

        try:
            await self.talk.caller.call(run, ms, *acts)
        finally:
            await self.talk.caller.session.call.speech.close()


@in_virtual_time
async def test_all_of_it_is_heard(loop: VirtualLoop, monkeypatch: Patch) -> None:
    speaker = Speaker(loop, monkeypatch)
    saying = speaker.saying
    assert (saying.text, saying.heard, saying.complete_text, saying.unheard, saying.began_at) == (
        "",
        "",
        "",
        [],
        None,
    )
    await speaker.say(SENTENCES[:2], 2000)
    text = " ".join(SENTENCES[:2])
    assert (saying.text, saying.heard, saying.complete_text, saying.unheard) == (text, text, text, [])
    assert (saying.interrupted, saying.failed, speaker.failures) == (False, False, [])
    length = sum(map(len, SENTENCES[:2])) * LETTER * 0.02
    assert speaker.ended == pytest.approx(length, abs=0.03)


@in_virtual_time
async def test_when_its_first_sound_goes_out_is_known(loop: VirtualLoop, monkeypatch: Patch) -> None:
    speaker = Speaker(loop, monkeypatch)
    speaker.talk.voicebox.slow = 0.3
    await speaker.say(SENTENCES[:3], 3000)
    ((first, _), *_) = speaker.talk.heard()
    assert first == 300
    assert speaker.saying.began_at == pytest.approx(0.301)


@in_virtual_time
async def test_two_sentences_are_made_ahead_and_no_more(loop: VirtualLoop, monkeypatch: Patch) -> None:
    speaker, asked = Speaker(loop, monkeypatch), []

    def look() -> None:
        asked.append(len(speaker.talk.voicebox.asked))

    first = len(SENTENCES[0]) * LETTER * 20
    await speaker.say(SENTENCES, 4000, (100, look), (first - 40, look), (first + 40, look), (3900, look))
    assert asked == [3, 3, 4, 6]


@in_virtual_time
async def test_whoever_is_stopped_says_no_more(loop: VirtualLoop, monkeypatch: Patch) -> None:
    speaker = Speaker(loop, monkeypatch)
    saying, first = speaker.saying, len(SENTENCES[0]) * LETTER * 20
    await speaker.say(SENTENCES, 4000, (first + 200, saying.stop))
    assert speaker.talk.heard()[-1][1] <= first + 240
    assert saying.interrupted
    assert (saying.complete_text, saying.unheard) == (SENTENCES[0], SENTENCES[1:])
    assert saying.heard == f"{SENTENCES[0]} And… [interrupted by the caller]"
    assert speaker.talk.voicebox.asked == SENTENCES[:4]
    assert speaker.failures == []


@in_virtual_time
async def test_whoever_is_stopped_before_anything_was_heard_has_said_nothing(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    speaker = Speaker(loop, monkeypatch)
    speaker.talk.voicebox.slow = 1.0
    await speaker.say(SENTENCES[:2], 3000, (500, speaker.saying.stop))
    assert (speaker.saying.heard, speaker.saying.unheard) == ("", SENTENCES[:2])
    assert speaker.saying.began_at is None
    assert speaker.talk.heard() == []


@in_virtual_time
async def test_where_speech_fails_the_rest_is_not_said_and_it_is_told_once(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    speaker = Speaker(loop, monkeypatch)
    loop.call_later(0.1, setattr, speaker.talk.voicebox, "error", "it is down")
    speaker.talk.voicebox.slow = 0.05  # the first is made by then; all others fail
    await speaker.say(SENTENCES, 4000)
    saying = speaker.saying
    assert speaker.failures == ["it is down"]
    assert (saying.failed, saying.interrupted) == (True, False)
    assert saying.complete_text == saying.heard
    assert saying.unheard
    assert saying.unheard[-1] == SENTENCES[-1]
    assert len(speaker.talk.voicebox.asked) < len(SENTENCES)


class Slowly(Voicebox):
    """Speaks the first tenth of a second, and has nothing more for long."""

    async def synthesise(self, text: str, voice: Voice) -> AsyncGenerator[bytes, None]:
        self.voice = voice
        yield b"\1\1" * 800
        await asyncio.sleep(60)


@in_virtual_time
async def test_of_a_sentence_whose_length_is_not_known_it_is_guessed_what_was_heard(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    """By the pace of speech: five frames are a letter and a half."""
    voicebox = Slowly()
    speaker = Speaker(loop, monkeypatch, voicebox)
    await speaker.say(["I am sure that it is sunny."], 1000, (500, speaker.saying.stop))
    assert speaker.saying.heard == "I… [interrupted by the caller]"
    assert voicebox.voice.name == "some"


@in_virtual_time
async def test_sentences_may_come_while_it_is_said(loop: VirtualLoop, monkeypatch: Patch) -> None:
    speaker = Speaker(loop, monkeypatch)
    saying, session = speaker.saying, speaker.talk.caller.session

    async def run(call: Call) -> None:
        loop.call_later(0.5, saying.add_sentence, "One.")
        loop.call_later(2.0, saying.add_sentence, "Two.")
        loop.call_later(3.0, saying.finish)
        await saying.run()
        assert loop.time() == 3.0

    await speaker.talk.caller.call(run, 4000)
    await session.call.speech.close()
    assert [start for start, _ in speaker.talk.heard()] == [500, 2000]
    assert saying.heard == "One. Two."


@in_virtual_time
async def test_who_gives_it_up_stops_it(loop: VirtualLoop, monkeypatch: Patch) -> None:
    speaker = Speaker(loop, monkeypatch)

    async def run(call: Call) -> None:
        for sentence in SENTENCES:
            speaker.saying.add_sentence(sentence)
        tasks = asyncio.all_tasks()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(speaker.saying.run(), 0.3)
        await asyncio.sleep(0.001)
        assert asyncio.all_tasks() <= tasks
        await call.silence()

    await speaker.talk.caller.call(run, 1000)
    await speaker.talk.caller.session.call.speech.close()
    ((_, stop),) = speaker.talk.heard()
    assert stop <= 320
