"""A call of an assistant under virtual time, with scripted engines: the rest is exact to the frame."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pytest

from mediaserver.audio.detection.vad import VoiceActivityDetector
from mediaserver.audio.pcm import FRAME_BYTES, to_bytes
from mediaserver.call import End
from mediaserver.errors import EngineError
from mediaserver.handlers.assistant import Assistant
from mediaserver.speech.engines.table import STT_ENGINES, TTS_ENGINES
from mediaserver.speech.llm.chat import Message, ToolCall
from mediaserver.speech.stt.interface import Recognition
from mediaserver.speech.tts.interface import Voice
from tests.call.caller import Caller, digits
from tests.handlers.test_handlers import library_of
from tests.sound import voice
from tests.virtual import VirtualLoop

WORD = to_bytes(voice(4000))  # half a second of voice
LETTER = 2  # frames that a letter takes to be said
BROKEN_OFF = object()  # a place where an answer breaks off, and another model continues it
Piece = str | float | ToolCall | Exception | object


class ScriptedSynthesiser:
    """A TTS engine that takes 40 ms a letter, after `slow` seconds; with an `error` it fails."""

    identity = "scripted"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.voices: set[Voice] = set()
        self.slow, self.error = 0.0, ""
        self.fails: set[str] = set()  # texts that it cannot speak

    async def synthesise(self, text: str, voice: Voice) -> AsyncGenerator[bytes, None]:
        self.asked.append(text)
        self.voices.add(voice)
        await asyncio.sleep(self.slow)
        if self.error or text in self.fails:
            raise EngineError(self.error or "it cannot be spoken")
        yield b"\1\1" * (len(text) * LETTER * FRAME_BYTES // 2)

    not_ready_reason = ""

    def preload(self) -> None:
        pass

    async def close(self) -> None:
        pass


class ScriptedRecogniser:
    """An STT engine with a list of results, `slow` seconds after the end of each utterance."""

    def __init__(self, words: Sequence[str | float | Exception]) -> None:
        self.words = list(words)
        self.slow = 0.1

    async def recognise(
        self, audio: AsyncIterator[bytes], on_partial: Callable[[str], None], language: str = ""
    ) -> Recognition:
        async for _ in audio:
            pass
        words = self.words.pop(0)
        await asyncio.sleep(words if isinstance(words, float) else self.slow)
        if isinstance(words, Exception):
            raise EngineError(str(words))  # one that is kept would refer to itself
        return Recognition(str(words))

    not_ready_reason = ""

    def preload(self) -> None:
        pass

    async def close(self) -> None:
        pass


class ScriptedModel:
    """A chat model with a list of answers: pieces of text, seconds to wait, tool calls, an error."""

    def __init__(self, answers: Sequence[Sequence[Piece]]) -> None:
        self.answers = list(answers)
        self.asked: list[list[Message]] = []
        self.tools: Sequence[Mapping[str, Any]] = ()
        self.left = 0  # answers that nobody waited for
        self.resumed: list[str] = []  # what was complete of answers that broke off

    async def stream_answer(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] = (),
        model: str = "",
        resume: Callable[[], str] | None = None,
    ) -> AsyncGenerator[str | ToolCall, None]:
        self.asked.append([dict(message) for message in messages])
        self.tools = tools
        try:
            for piece in self.answers.pop(0):
                if isinstance(piece, float):
                    await asyncio.sleep(piece)
                elif isinstance(piece, Exception):
                    raise EngineError(str(piece))  # one that is kept would refer to itself
                elif isinstance(piece, str | ToolCall):
                    yield piece
                else:
                    assert resume is not None
                    self.resumed.append(resume())
        except (asyncio.CancelledError, GeneratorExit):
            self.left += 1
            raise

    @property
    def messages(self) -> list[tuple[str, str]]:
        """The messages of the last request, without the instructions."""
        return [(message["role"], message["content"]) for message in self.asked[-1][1:]]


class ScriptedCall:
    """A call of an assistant, with its scripted engines and what the caller hears."""

    def __init__(
        self,
        loop: VirtualLoop,
        patch: pytest.MonkeyPatch,
        words: Sequence[str | float | Exception] = (),
        answers: Sequence[Sequence[Piece]] = (),
        backend: Sequence[Any] = (),
    ) -> None:
        self.synthesiser, self.recogniser, self.model = (
            ScriptedSynthesiser(),
            ScriptedRecogniser(words),
            ScriptedModel(answers),
        )
        patch.setitem(TTS_ENGINES, "hibari", lambda settings, http: self.synthesiser)
        patch.setitem(STT_ENGINES, "pocketsphinx", lambda settings, http: self.recogniser)
        self.caller = Caller(loop, library_of(), None, *backend)
        self.caller.session.call.speech.chat = self.model  # type: ignore[assignment]

    async def call(self, ms: float, *says_at: float | tuple[float, str], **settings: Any) -> End | None:
        """Have the caller say a word of half a second at each of these times, in ms, or press keys."""
        handler = Assistant(**({"instructions": "Be brief."} | settings))
        said = [each if isinstance(each, tuple) else (each, "") for each in says_at]
        acts = [(at, partial(self.caller.say, digits(keys) if keys else WORD)) for at, keys in said]
        try:
            return await self.caller.call(handler.run, ms, *acts)
        finally:
            await self.caller.session.call.speech.close()
            left = asyncio.all_tasks() - {asyncio.current_task()}
            assert not left, left

    def heard(self) -> list[tuple[int, int]]:
        """When sound was heard: from and to, in ms of frames."""
        spans: list[tuple[int, int]] = []
        for number, sounding in enumerate(self.caller.sounding()):
            if sounding and spans and spans[-1][1] == number * 20:
                spans[-1] = spans[-1][0], number * 20 + 20
            elif sounding:
                spans.append((number * 20, number * 20 + 20))
        return spans

    def events_of(self, kind: str) -> list[dict[str, Any]]:
        return self.caller.backend.events_of(f"assistant.{kind}")


def voiced_after_ms() -> int:
    """How long after its beginning the VAD is certain of voice in the word, in ms."""
    detector = VoiceActivityDetector()
    frames = range(0, len(WORD), FRAME_BYTES)
    return next(at * 20 // FRAME_BYTES for at in frames if detector.feed(WORD[at : at + FRAME_BYTES]))
