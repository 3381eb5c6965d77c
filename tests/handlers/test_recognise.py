"""The `recognise` handler and its transcriber, with a scripted engine: events, keywords, and files."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mediaserver.config.speech_settings import RecognitionSettings
from mediaserver.errors import EngineError
from mediaserver.handlers.common.transcriber import KeywordSpotter
from mediaserver.handlers.recognise import Recognise
from mediaserver.speech.engines.table import STT_ENGINES
from mediaserver.speech.service import SpeechService
from mediaserver.speech.stt.interface import Recognition
from tests.call.caller import Caller
from tests.call.inbound.test_endpointing import voice
from tests.handlers.test_handlers import library_of
from tests.handlers.test_transcript import captions
from tests.virtual import VirtualLoop, in_virtual_time


class ScriptedRecogniser:
    """Answers each utterance with the next of its answers: text, a failure, or a wait in seconds before either."""

    def __init__(self, *answers: Any, partials: dict[float, str] | None = None) -> None:
        self._answers, self._partials = list(answers), partials or {}
        self.languages: list[str] = []

    async def recognise(
        self, audio: AsyncIterator[bytes], on_partial: Callable[[str], None], language: str = ""
    ) -> Recognition:
        self.languages.append(language)
        seconds = 0.0
        async for pcm in audio:
            seconds += len(pcm) / 16_000
            due = [at for at in self._partials if at <= seconds]
            for at in sorted(due):
                on_partial(self._partials.pop(at))
        while True:
            match self._answers.pop(0):
                case float() as wait:
                    await asyncio.sleep(wait)
                case EngineError() as error:
                    raise error
                case text:
                    return Recognition(text, 0.5)

    not_ready_reason = ""

    def preload(self) -> None: ...

    async def close(self) -> None: ...


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    async def run(
        loop: VirtualLoop,
        engine: ScriptedRecogniser,
        handler: Recognise,
        ms: float,
        *said: tuple[float, bytes],
        timeout: float = 5.0,
    ) -> Caller:
        monkeypatch.setitem(STT_ENGINES, "vosk", lambda settings, http: engine)
        caller = Caller(loop, library_of())
        caller.session.call.speech = SpeechService(recognition=RecognitionSettings(engine="vosk", timeout=timeout))
        await caller.call(handler.run, ms, *((at, lambda pcm=pcm: caller.say(pcm)) for at, pcm in said))
        return caller

    return run


def test_an_utterance_is_an_event_with_its_words_and_times(call: Callable[..., Any]) -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        engine = ScriptedRecogniser(0.25, "hello there")
        caller = await call(loop, engine, Recognise(language="en-GB"), 4000, (1000, voice(1000)))
        (final,) = caller.backend.events_of("transcript.final")
        assert final.items() >= {"text": "hello there", "utterance": 1, "start_s": 1.0, "confidence": 0.5}.items()
        assert final["seconds"] == 0.25
        assert 2.0 <= final["end_s"] <= 2.2
        assert engine.languages == ["en-GB"]

    run()


def test_utterances_are_recognised_in_their_order(call: Callable[..., Any]) -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        engine = ScriptedRecogniser(4.0, "one", "two", "three")
        said = [(at, voice(500)) for at in (1000, 3000, 5000)]
        caller = await call(loop, engine, Recognise(), 9000, *said)
        finals = caller.backend.events_of("transcript.final")
        assert [(final["utterance"], final["text"]) for final in finals] == [(1, "one"), (2, "two"), (3, "three")]
        assert [final["start_s"] for final in finals] == [1.0, 3.0, 5.0]

    run()


@pytest.mark.parametrize("wanted", [True, False])
def test_partials_are_events_when_they_change_and_not_too_often(call: Callable[..., Any], wanted: bool) -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        partials = {0.5 + n * 0.1: "word " * (n // 4 + 1) for n in range(30)}
        engine = ScriptedRecogniser("words", partials=partials)
        caller = await call(loop, engine, Recognise(partials=wanted), 6000, (1000, voice(3500)))
        told = [each["text"].count("word") for each in caller.backend.events_of("transcript.partial")]
        assert told == ([1, 2, 3, 4, 5, 6, 7, 8] if wanted else [])

    run()


def test_many_partials_are_at_most_four_events_a_second(call: Callable[..., Any]) -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        partials = {0.5 + n * 0.1: f"{n}" for n in range(30)}
        caller = await call(
            loop, ScriptedRecogniser("", partials=partials), Recognise(), 6000, (1000, voice(3500))
        )
        told = [int(each["text"]) for each in caller.backend.events_of("transcript.partial")]
        assert told == list(range(0, 30, 3))

    run()


def test_keywords_are_one_event_an_utterance_as_soon_as_they_are_found(call: Callable[..., Any]) -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        engine = ScriptedRecogniser("HELP me, it's not urgently", "help", partials={0.5: "help", 0.6: "help me"})
        handler = Recognise(keywords=("Help", "urgent", "not  urgently"), partials=False)
        caller = await call(loop, engine, handler, 5000, (1000, voice(1000)), (3000, voice(500)))
        kinds = [kind for kind, _ in caller.backend.events if kind in ("keyword", "transcript.final")]
        assert kinds == ["keyword", "transcript.final", "keyword", "transcript.final", "keyword"]
        found = [
            (each["keyword"], each["utterance"], each["final"]) for each in caller.backend.events_of("keyword")
        ]
        assert found == [("Help", 1, False), ("not  urgently", 1, True), ("Help", 2, True)]

    run()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("help", ["help"]),
        ("Please HELP!", ["help"]),
        ("helpless", []),
        ("unhelp", []),
        ("call   a doctor now", ["a doctor"]),
        ("die hilfe, größe", ["Größe"]),
        ("c++ is it", ["c++"]),
    ],
)
def test_keywords_are_whole_words(text: str, found: list[str]) -> None:
    assert KeywordSpotter(["help", "a doctor", "Größe", "c++"]).find_in(text) == found


def test_a_failed_utterance_is_an_event_and_the_next_works(call: Callable[..., Any]) -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        engine = ScriptedRecogniser(EngineError("host: gone"), 9.0, "three", "")
        said = [(at, voice(500)) for at in (1000, 3000, 7000, 9000)]
        caller = await call(loop, engine, Recognise(), 11_000, *said, timeout=2.0)
        failed = caller.backend.events_of("recognition.failed")
        assert [(each["utterance"], each["why"], each["start_s"]) for each in failed] == [
            (1, "host: gone", 1.0),
            (2, "no words within 2 s of the end", 3.0),
        ]
        finals = caller.backend.events_of("transcript.final")
        assert [each["utterance"] for each in finals] == [3, 4]

    run()


def test_the_last_words_are_recognised_after_the_call(call: Callable[..., Any]) -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        caller = await call(loop, ScriptedRecogniser(1.5, "goodbye"), Recognise(), 2000, (1000, voice(5000)))
        (final,) = caller.backend.events_of("transcript.final")
        assert (final["text"], final["seconds"]) == ("goodbye", 1.5)
        assert loop.time() == pytest.approx(3.5)

    run()


def test_an_utterance_that_takes_too_long_after_the_call_has_failed(call: Callable[..., Any]) -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        said = [(at, voice(500)) for at in (1000, 3000, 4900)]
        caller = await call(loop, ScriptedRecogniser(99.0, "never"), Recognise(), 5500, *said, timeout=60)
        failed = caller.backend.events_of("recognition.failed")
        assert [each["utterance"] for each in failed] == [1, 2, 3]
        assert {each["why"] for each in failed} == {"the call ended before it was recognised"}
        assert loop.time() == pytest.approx(7.5)

    run()


def test_a_dropped_utterance_is_an_event(call: Callable[..., Any]) -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        said = [(1000, voice(100_000))]
        handler = Recognise(max_utterance=10)
        caller = await call(loop, ScriptedRecogniser(200.0, "never"), handler, 100_000, *said, timeout=120)
        dropped = [each for each in caller.backend.events_of("recognition.failed") if each["dropped"]]
        assert [each["utterance"] for each in dropped] == [2, 3]
        left = [each for each in caller.backend.events_of("recognition.failed") if not each["dropped"]]
        assert {each["why"] for each in dropped}.isdisjoint(each["why"] for each in left)

    run()


def test_the_events_of_an_utterance_in_full(call: Callable[..., Any]) -> None:
    """Every event, to the last of its facts."""

    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        engine = ScriptedRecogniser(
            "call a doctor", EngineError("down"), partials={0.5: "call a", 0.7: "", 1.1: "call a doc"}
        )
        handler = Recognise(keywords=("a doctor",))
        caller = await call(loop, engine, handler, 6000, (1000, voice(1000)), (4000, voice(500)))
        partials = caller.backend.events_of("transcript.partial")
        assert partials == [{"text": text, "utterance": 1, "start_s": 1.0} for text in ("call a", "call a doc")]
        (final,) = caller.backend.events_of("transcript.final")
        assert set(final) == {"utterance", "start_s", "end_s", "text", "confidence", "seconds"}
        assert caller.backend.events_of("keyword") == [
            {"keyword": "a doctor", "text": "call a doctor", "utterance": 1, "start_s": 1.0, "final": True}
        ]
        (failed,) = caller.backend.events_of("recognition.failed")
        assert failed.pop("end_s") == pytest.approx(4.6, abs=0.1)
        assert failed == {"utterance": 2, "start_s": 4.0, "why": "down", "dropped": False}

    run()


def test_partials_and_keywords_are_counted_anew_for_each_utterance(call: Callable[..., Any]) -> None:
    """A partial that equals the previous utterance's is an event, at once, and so is a keyword."""

    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        partials = {0.5: "help", 1.3: "help me"}
        engine = ScriptedRecogniser("help me", "help me", partials=dict(partials))
        again = engine.recognise

        async def recognise(*args: Any, **options: Any) -> Recognition:
            engine._partials = dict(partials)
            return await again(*args, **options)

        engine.recognise = recognise  # type: ignore[method-assign]
        handler = Recognise(keywords=("help",), end_silence=0.2)
        caller = await call(loop, engine, handler, 6000, (1000, voice(1000)), (2300, voice(1000)))
        told = [(each["utterance"], each["text"]) for each in caller.backend.events_of("transcript.partial")]
        assert told == [(1, "help"), (1, "help me"), (2, "help"), (2, "help me")]
        assert [each["utterance"] for each in caller.backend.events_of("keyword")] == [1, 2]

    run()


@pytest.mark.parametrize("prompt", [None, "welcome"])
def test_a_prompt_may_be_played_during_recognition(call: Callable[..., Any], prompt: str | None) -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        caller = await call(loop, ScriptedRecogniser("hello"), Recognise(prompt=prompt), 4000, (1000, voice(500)))
        assert caller.sounding().sum() == (10 if prompt else 0)
        assert len(caller.backend.events_of("transcript.final")) == 1
        assert list(Recognise(prompt=prompt).prompt_names()) == ([prompt] if prompt else [])

    run()


def test_an_unexpected_exception_of_a_recogniser_fails_the_handler(call: Callable[..., Any]) -> None:
    class Broken(ScriptedRecogniser):
        async def recognise(self, *args: Any, **options: Any) -> Recognition:
            raise LookupError("ours")

    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        with pytest.raises(LookupError):
            await call(loop, Broken(), Recognise(), 4000, (1000, voice(500)))

    run()


def test_sensitivity_is_that_of_the_vad(call: Callable[..., Any]) -> None:
    found = []

    @in_virtual_time
    async def run(loop: VirtualLoop, mode: int) -> None:
        caller = await call(loop, ScriptedRecogniser("x"), Recognise(sensitivity=mode), 4000, (1000, voice(60)))
        found.append(len(caller.backend.events_of("transcript.final")))

    for mode in (0, 3):
        run(mode=mode)
    assert found == [1, 0]  # 60 ms of a vowel


# -- the transcript ----------------------------------------------------------------


def test_a_transcript_is_json_lines_and_captions(call: Callable[..., Any], tmp_path: Path) -> None:
    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        engine = ScriptedRecogniser("größer & <b>", "", "zwei")
        handler = Recognise(directory=tmp_path, file="{resource}/{id}.jsonl")
        said = [(at, voice(500)) for at in (1000, 3000, 5000)]
        caller = await call(loop, engine, handler, 8000, *said)
        finals = [final for final in caller.backend.events_of("transcript.final") if final["text"]]
        text = (tmp_path / "path/id.jsonl").read_text("utf-8")
        lines = [json.loads(line) for line in text.splitlines()]
        assert "größer" in text
        for line, final in zip(lines, finals, strict=True):
            assert line.items() >= (final | {"stream": "id", "path": "/path", "who": "caller"}).items()
        shown = captions((tmp_path / "path/id.vtt").read_text("utf-8"))
        assert [text for _, _, text in shown] == ["größer &amp; &lt;b&gt;", "zwei"]
        assert [(start, end) for start, end, _ in shown] == [(each["start_s"], each["end_s"]) for each in finals]

    run()


def test_a_disk_that_fails_ends_the_transcript_and_not_the_call(call: Callable[..., Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        handler = Recognise(directory=tmp_path / "file", file="a.jsonl")
        said = [(at, voice(500)) for at in (1000, 3000)]
        caller = await call(loop, ScriptedRecogniser("one", "two"), handler, 5000, *said)
        assert [each["text"] for each in caller.backend.events_of("transcript.final")] == ["one", "two"]
        failed = {"file": str(tmp_path / "file/a.jsonl"), "error": "File exists"}
        assert caller.backend.events_of("transcript.failed") == [failed]  # once

    run()


def test_a_transcript_that_failed_is_given_up(call: Callable[..., Any], tmp_path: Path) -> None:
    """A file that began in the middle of a call would look like the whole of it."""
    (tmp_path / "file").write_text("in the way")

    @in_virtual_time
    async def run(loop: VirtualLoop) -> None:
        handler = Recognise(directory=tmp_path / "file", file="a.jsonl")
        loop.call_later(2.5, (tmp_path / "file").unlink)
        said = [(at, voice(500)) for at in (1000, 3000)]
        caller = await call(loop, ScriptedRecogniser("one", "two"), handler, 5000, *said)
        assert len(caller.backend.events_of("transcript.final")) == 2
        assert not (tmp_path / "file").exists()

    run()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"keywords": ("help", " ")}, "should be words or phrases"),
        ({"keywords": ("?",)}, "should be words or phrases"),
        ({"file": "a.vtt"}, "name it .jsonl"),
        ({"file": "../a.jsonl"}, "must name a file within the folder"),
        ({"language": "english language"}, "should be a BCP 47 tag"),
        ({"engine": "sphinx"}, "pocketsphinx"),
    ],
)
def test_recognise_settings_are_validated(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Recognise(**settings)
