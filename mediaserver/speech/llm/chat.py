"""The client of a chat model (LLM) on any server with OpenAI's `POST /chat/completions`. Answers are streamed."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

import aiohttp
import structlog
from pydantic import BaseModel, Field

from mediaserver.config.speech_settings import ChatServerSettings
from mediaserver.errors import EngineError, single_line
from mediaserver.events.webhook_client import host_of
from mediaserver.speech.engines.failover import Attempt
from mediaserver.speech.engines.http_client import EngineHttpClient
from mediaserver.speech.engines.server_sent_events import MAX_EVENT_CHARACTERS, ServerSentEventParser
from mediaserver.speech.engines.tokens import read_token
from mediaserver.speech.llm.reasoning import ReasoningFilter

MAX_ANSWER_CHARACTERS = 8000  # an answer's maximum length in characters (10 min of speech); the rest is cut off
# The seconds to wait, after a complete answer, for the end of its stream, so that the connection can be reused.
_END_TIMEOUT = 0.25
_MAX_TOOL_CALLS = 16  # the maximum number of tool calls in one answer; more are an error
_MAX_SHOWN = 200  # the maximum number of characters of a server's error text that an EngineError repeats

Message = dict[str, Any]

log = structlog.get_logger()


class ToolCall(NamedTuple):
    """A model's call of a tool. `arguments` is the text of a JSON object; nothing has checked that it is one."""

    id: str
    name: str
    arguments: str


class ChatClient:
    """Requests answers from a chat model. One client serves all calls at the same time.

    `token_key` is the key of the server's token in the settings, for error messages.
    """

    def __init__(self, settings: ChatServerSettings, http: EngineHttpClient, token_key: str) -> None:
        self._settings, self._http, self._token_key = settings, http, token_key
        self._host = host_of(settings.url)

    async def stream_answer(
        self, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]], model: str, attempt: Attempt
    ) -> AsyncGenerator[str | ToolCall, None]:
        """Yield the answer to a conversation as it arrives: pieces of text of any size, then the tool calls.

        `messages` and `tools` have OpenAI's format. With "" for `model`, the configured model answers. The model's
        reasoning is left out.

        Raises EngineError if there is no answer, if the answer breaks off, or if no part of the answer arrives
        within the time that `attempt` allows. Reasoning does not count as a part of the answer, because the caller
        hears nothing meanwhile.
        """
        body = {"model": model or self._settings.model, "messages": list(messages), "stream": True}
        if tools:
            body["tools"] = list(tools)
        length, reader = 0, _CompletionReader()
        async with contextlib.aclosing(self._request(self._settings.parameters | body, reader)) as pieces:
            while (piece := await self._next(pieces, reader, attempt)) is not None:
                attempt.note_progress()
                length += len(piece)
                if piece:
                    yield piece
                if length > MAX_ANSWER_CHARACTERS:
                    log.warning("model answer truncated", host=self._host, characters=length)
                    return
        for call in reader.tool_calls.values():
            yield call
        if not length and not reader.tool_calls:
            what = "empty" if not reader.reasoning.found else "nothing but reasoning"
            raise EngineError(f"{self._host}: the answer is {what} ({reader.finish_reason})")

    async def _next(
        self, pieces: AsyncGenerator[str, None], reader: "_CompletionReader", attempt: Attempt
    ) -> str | None:
        """The answer's next piece of text; None at its end. Raises EngineError if no piece comes in time."""
        try:
            async with asyncio.timeout(_END_TIMEOUT if reader.finish_reason else attempt.seconds_left):
                return await anext(pieces, None)
        except TimeoutError:
            if reader.finish_reason:
                return None
            nothing = "only reasoning" if reader.reasoning.found else "no answer"
            what = "the answer did not go on" if reader.started else nothing
            raise EngineError(f"{self._host}: {what} within {attempt.allotted}") from None

    async def _request(self, body: Mapping[str, Any], reader: "_CompletionReader") -> AsyncGenerator[str, None]:
        """Send a request and yield the answer's text in pieces.

        An empty piece reports progress without text, such as a part of a tool call. Raises EngineError if the
        answer does not finish.
        """
        token = ""
        try:
            token = await read_token(self._settings.token, self._token_key)
            url = f"{self._settings.url.rstrip('/')}/chat/completions"
            async with self._http.post(url, token, json=body) as response:
                async for document in _iter_documents(response.content):
                    if (text := reader.feed(document)) is not None:
                        yield text
        except EngineError:
            if not reader.finish_reason:  # an error after the end of the answer is ignored
                raise
        except _ServerReportedError as error:
            shown = "an error" if token and token in str(error) else single_line(str(error))[:_MAX_SHOWN]
            raise EngineError(f"{self._host}: {shown}") from None
        except ValueError:
            if not reader.finish_reason:
                raise EngineError(f"{self._host}: the answer is no chat completion") from None
        if not reader.finish_reason:
            why = "the answer broke off" if reader.started else "the answer is no chat completion"
            raise EngineError(f"{self._host}: {why}")


async def _iter_documents(content: aiohttp.StreamReader) -> AsyncIterator[str]:
    """Yield a response's JSON documents: each SSE event's data or, if there are no events, the whole body."""
    parser, body, is_event_stream = ServerSentEventParser(), bytearray(), None
    async for data in content.iter_any():
        if is_event_stream is None:
            data = data.lstrip()
            is_event_stream = not data.startswith(b"{") if data else None
        if is_event_stream:
            for event in parser.feed(data):
                yield event.data
        else:
            body += data
            if len(body) > MAX_EVENT_CHARACTERS:
                raise ValueError("longer than any answer")
    if body:
        yield body.decode(errors="replace")


class _Function(BaseModel):
    name: str | None = None
    arguments: str | None = None


class _ToolCallPart(BaseModel):
    index: int | None = None
    id: str | None = None
    function: _Function = _Function()


class _Delta(BaseModel):
    content: str | None = None
    reasoning: Any = None  # the model's reasoning; some servers call this field `reasoning_content`
    reasoning_content: Any = None
    tool_calls: list[_ToolCallPart] | None = None


class _Choice(BaseModel):
    delta: _Delta | None = None
    message: _Delta | None = None  # the whole answer, which a server that does not stream sends without `delta`
    finish_reason: str | None = None


class _Chunk(BaseModel):
    """The fields of a `chat.completion.chunk`, or of a `chat.completion`, that this client reads."""

    choices: list[_Choice] = Field(default_factory=list)
    error: Any = None


class _ServerReportedError(Exception):
    """The chat server has sent an error's text in place of an answer."""


class _CompletionReader:
    """Reads a model's answer, one JSON document at a time, and collects its tool calls."""

    def __init__(self) -> None:
        self.started = False  # whether any text or tool call of the answer has arrived
        self.reasoning = ReasoningFilter()
        self.finish_reason = ""  # why the server ended the answer; "" until the answer is complete
        self.tool_calls: dict[int, ToolCall] = {}

    def feed(self, document: str) -> str | None:
        """Read one JSON document and return its text; None if the document brings no progress.

        Progress is text, a part of a tool call, or the end of the answer. Raises ValueError if the document is
        no chat completion, _ServerReportedError if the document is an error.
        """
        if document.strip() == "[DONE]":
            self.finish_reason = self.finish_reason or "stop"
            return self.reasoning.flush()
        chunk = _Chunk.model_validate_json(document)
        if chunk.error:
            message = chunk.error.get("message") if isinstance(chunk.error, dict) else chunk.error
            raise _ServerReportedError(str(message or "an error"))
        if not chunk.choices:
            return None  # a document without choices, such as a report of the tokens used
        choice = chunk.choices[0]
        part = choice.delta or choice.message or _Delta()
        text, calls = self.reasoning.feed(part.content or ""), part.tool_calls or []
        for call in calls:
            self._merge_tool_call(call)
        if choice.finish_reason:
            self.finish_reason = choice.finish_reason
            text += self.reasoning.flush()
        self.reasoning.found = self.reasoning.found or bool(part.reasoning or part.reasoning_content)
        progress = bool(text or calls or self.finish_reason)
        self.started = self.started or progress
        return text if progress else None

    def _merge_tool_call(self, part: _ToolCallPart) -> None:
        """Add a streamed part of a tool call to the tool call that it belongs to.

        If a part has no index, it belongs to the last tool call, or begins a new tool call if its id is another
        one. Raises ValueError if there are too many tool calls, or if their arguments are too long.
        """
        last = max(self.tool_calls, default=-1)
        begins = last < 0 or (part.id and part.id != self.tool_calls[last].id)
        index = part.index if part.index is not None else last + 1 if begins else last
        call = self.tool_calls.get(index, ToolCall("", "", ""))
        function = part.function
        self.tool_calls[index] = ToolCall(
            call.id or part.id or f"call_{index}",
            call.name + (function.name or ""),
            call.arguments + (function.arguments or ""),
        )
        size = sum(len(call.arguments) for call in self.tool_calls.values())
        if size > MAX_ANSWER_CHARACTERS or len(self.tool_calls) > _MAX_TOOL_CALLS:
            raise ValueError("more than any tool takes")
