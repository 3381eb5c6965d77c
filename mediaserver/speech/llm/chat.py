"""What is answered: a client of any server with OpenAI's `/chat/completions`."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp
import structlog
from pydantic import BaseModel, Field

from mediaserver.config.speech_settings import ChatSettings
from mediaserver.errors import EngineError, one_line
from mediaserver.events.post import host_of
from mediaserver.speech.engines.http import Http
from mediaserver.speech.engines.server_sent_events import MOST, EventStream
from mediaserver.speech.engines.tokens import token_of
from mediaserver.speech.llm.reasoning import Thoughts

LONGEST = 8000  # characters of an answer: ten minutes of speech; what is longer is cut off there
_TAIL = 0.25  # seconds for a finished answer's stream to end, so that its connection can be used again
_CALLS = 16  # tools wanted in one answer
_SHOWN = 200  # characters of a server's error

Message = dict[str, Any]

log = structlog.get_logger()


class ToolCall(NamedTuple):
    """A tool that the model wants used; `arguments` as it wrote them, which should be JSON."""

    id: str
    name: str
    arguments: str


class Chat:
    """Answers to conversations. One serves all streams at once."""

    def __init__(self, settings: ChatSettings, http: Http) -> None:
        self._settings, self._http = settings, http
        self._host = host_of(settings.url)

    async def answer(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = (), model: str = ""
    ) -> AsyncGenerator[str | ToolCall, None]:
        """An answer as it comes: pieces of text of any size, and after them the tools that are wanted.

        EngineError where there is none, where it pauses for longer than `chat.timeout`, or breaks off. Thoughts
        are left out, and are a pause like any other: whoever waits hears nothing of them.
        """
        body = {"model": model or self._settings.model, "messages": list(messages), "stream": True}
        if tools:
            body["tools"] = list(tools)
        limit, length, reading = self._settings.timeout, 0, _Reading()
        async with contextlib.aclosing(self._pieces(self._settings.parameters | body, reading)) as pieces:
            while (piece := await self._next(pieces, reading, limit)) is not None:
                length += len(piece)
                if piece:
                    yield piece
                if length > LONGEST:
                    log.warning("a model's answer is cut off", host=self._host, characters=length)
                    return
        for call in reading.calls.values():
            yield call
        if not length and not reading.calls:
            what = "empty" if not reading.thoughts.any else "nothing but thoughts"
            raise EngineError(f"{self._host}: the answer is {what} ({reading.finish})")

    async def _next(self, pieces: AsyncGenerator[str, None], reading: "_Reading", limit: float) -> str | None:
        try:
            async with asyncio.timeout(_TAIL if reading.finish else limit):
                return await anext(pieces, None)
        except TimeoutError:
            if reading.finish:
                return None
            nothing = "only thoughts" if reading.thoughts.any else "no answer"
            what = "the answer did not go on" if reading.begun else nothing
            raise EngineError(f"{self._host}: {what} within {limit:g} s") from None

    async def _pieces(self, body: Mapping[str, Any], reading: "_Reading") -> AsyncGenerator[str, None]:
        """The text of an answer; an empty piece is progress without any. EngineError where it does not finish."""
        token = ""
        try:
            token = await token_of(self._settings.token, "chat.token")
            url = f"{self._settings.url.rstrip('/')}/chat/completions"
            async with self._http.post(url, token, json=body) as got:
                async for document in _documents(got.content):
                    if (text := reading.take(document)) is not None:
                        yield text
        except EngineError:
            if not reading.finish:  # what comes after the end of it does not matter
                raise
        except _RefusedError as error:
            said = one_line(str(error))[:_SHOWN]
            raise EngineError(f"{self._host}: {'an error' if token and token in str(error) else said}") from None
        except ValueError:
            if not reading.finish:
                raise EngineError(f"{self._host}: the answer is no chat completion") from None
        if not reading.finish:
            why = "the answer broke off" if reading.begun else "the answer is no chat completion"
            raise EngineError(f"{self._host}: {why}")


async def _documents(content: aiohttp.StreamReader) -> AsyncIterator[str]:
    """The documents of an answer: its events' data, or all of it from a server that does not stream."""
    events, whole, streams = EventStream(), bytearray(), None
    async for data in content.iter_any():
        if streams is None:
            data = data.lstrip()
            streams = not data.startswith(b"{") if data else None
        if streams:
            for event in events.feed(data):
                yield event.data
        else:
            whole += data
            if len(whole) > MOST:
                raise ValueError("longer than any answer")
    if whole:
        yield whole.decode(errors="replace")


class _Function(BaseModel):
    name: str | None = None
    arguments: str | None = None


class _CallPart(BaseModel):
    index: int | None = None
    id: str | None = None
    function: _Function = _Function()


class _Delta(BaseModel):
    content: str | None = None
    reasoning: Any = None  # of some servers, and the next of others
    reasoning_content: Any = None
    tool_calls: list[_CallPart] | None = None


class _Choice(BaseModel):
    delta: _Delta | None = None
    message: _Delta | None = None  # of a server that does not stream
    finish_reason: str | None = None


class _Chunk(BaseModel):
    """What a server sends, as far as it is of use here."""

    choices: list[_Choice] = Field(default_factory=list)
    error: Any = None


class _RefusedError(Exception):
    """The server says why there is no answer."""


class _Reading:
    """What has been read of an answer."""

    def __init__(self) -> None:
        self.begun = False
        self.thoughts = Thoughts()
        self.finish = ""  # why it is over, once it is
        self.calls: dict[int, ToolCall] = {}

    def take(self, document: str) -> str | None:
        """One document: the text in it, None where it says nothing of use; ValueError where it is none."""
        if document.strip() == "[DONE]":
            self.finish = self.finish or "stop"
            return self.thoughts.flush()
        chunk = _Chunk.model_validate_json(document)
        if chunk.error:
            said = chunk.error.get("message") if isinstance(chunk.error, dict) else chunk.error
            raise _RefusedError(str(said or "an error"))
        if not chunk.choices:
            return None  # such as what it has cost
        choice = chunk.choices[0]
        part = choice.delta or choice.message or _Delta()
        text, calls = self.thoughts.feed(part.content or ""), part.tool_calls or []
        for call in calls:
            self._join(call)
        if choice.finish_reason:
            self.finish = choice.finish_reason
            text += self.thoughts.flush()
        self.thoughts.any = self.thoughts.any or bool(part.reasoning or part.reasoning_content)
        useful = bool(text or calls or self.finish)
        self.begun = self.begun or useful
        return text if useful else None

    def _join(self, part: _CallPart) -> None:
        """A fragment of a call; one without an index belongs to the last, unless it brings another's id."""
        last = max(self.calls, default=-1)
        begins = last < 0 or (part.id and part.id != self.calls[last].id)
        index = part.index if part.index is not None else last + 1 if begins else last
        call = self.calls.get(index, ToolCall("", "", ""))
        function = part.function
        self.calls[index] = ToolCall(
            call.id or part.id or f"call_{index}",
            call.name + (function.name or ""),
            call.arguments + (function.arguments or ""),
        )
        if sum(len(call.arguments) for call in self.calls.values()) > LONGEST or len(self.calls) > _CALLS:
            raise ValueError("more than any tool takes")
