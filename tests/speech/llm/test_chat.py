"""The client of a chat model over real sockets, and the faults of its servers."""

import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from mediaserver.config.speech_settings import ChatSettings
from mediaserver.errors import EngineError
from mediaserver.speech.llm.chat import MAX_ANSWER_CHARACTERS, ToolCall
from mediaserver.speech.llm.failover import FailoverChat
from mediaserver.speech.service import SpeechService
from tests.speech.llm.chat_server import ChatServer, call, chunk
from tests.timing import TIMEOUT, UNIT, eventually

SOME = r"0\.[012]\d* s"  # of a time-out of 0.2 s, what was left when the engine was asked
MESSAGES = [{"role": "user", "content": "hello"}]


@contextlib.asynccontextmanager
async def chatting(server: ChatServer, **settings: Any) -> AsyncIterator[FailoverChat]:
    async with server:
        speech = SpeechService(chat=ChatSettings(url=settings.pop("url", server.url), **settings))
        try:
            yield speech.chat
        finally:
            await speech.close()


async def answer_of(*parts: Any, server: ChatServer | None = None, **settings: Any) -> list[str | ToolCall]:
    async with chatting(server or ChatServer(lambda body: parts), **settings) as chat:
        return [piece async for piece in chat.stream_answer(MESSAGES)]


async def test_an_answer_comes_word_by_word() -> None:
    server = ChatServer(lambda body: ["It is sunny."])
    settings = {"token": "s3cret", "model": "tiny", "parameters": {"temperature": 0.5, "stream": False}}
    assert await answer_of(server=server, **settings) == ["It ", "is ", "sunny. "]
    assert server.requests == [{"temperature": 0.5, "stream": True, "model": "tiny", "messages": MESSAGES}]
    assert server.tokens == ["Bearer s3cret"]


async def test_tools_and_another_model_are_requested() -> None:
    tools = [{"type": "function", "function": {"name": "hang_up"}}]
    server = ChatServer(lambda body: ["yes"])
    async with chatting(server) as chat:
        assert [piece async for piece in chat.stream_answer(MESSAGES, tools, "large")] == ["yes "]
    assert (server.requests[0]["tools"], server.requests[0]["model"]) == (tools, "large")


async def test_connections_are_reused() -> None:
    peers = set()
    server = ChatServer(lambda body: ["yes"])
    async with chatting(server) as chat:
        for _ in range(3):
            async for _ in chat.stream_answer(MESSAGES):
                assert server._runner.server is not None
                peers.update(id(each) for each in server._runner.server.connections)
    assert len(peers) == 1


def fragment(index: int | None, call_id: str | None, name: str | None, arguments: str | None) -> dict[str, Any]:
    part = {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}
    return {"tool_calls": [{key: value for key, value in part.items() if value is not None}]}


@pytest.mark.parametrize(
    "fragments",
    [
        [fragment(0, "a", "play", ""), fragment(0, None, None, '{"x"'), fragment(1, "b", "hang_up", "{}"),
         fragment(0, None, None, ":1}")],
        [fragment(None, "a", "play", '{"x"'), fragment(None, None, None, ":1}"),
         fragment(None, "b", "hang_up", "{}")],
        [{"tool_calls": fragment(0, "a", "play", '{"x":1}')["tool_calls"]
          + fragment(1, "b", "hang_up", "{}")["tool_calls"]}],
    ],
)  # fmt: skip
async def test_fragments_of_tool_calls_are_merged(fragments: list[dict[str, Any]]) -> None:
    expected = [ToolCall("a", "play", '{"x":1}'), ToolCall("b", "hang_up", "{}")]
    assert await answer_of("One moment.", *fragments) == ["One ", "moment. ", *expected]
    assert await answer_of(*fragments) == expected


@pytest.mark.parametrize("before", [b"", b"\r\n  "])
async def test_a_server_that_does_not_stream_is_understood(before: bytes) -> None:
    message = {"role": "assistant", "content": "It is sünny.", **call("hang_up")}
    whole = json.dumps({"choices": [{"message": message, "finish_reason": "stop"}]}, ensure_ascii=False).encode()
    answer = await answer_of(before, whole[:70], 0.01, whole[70:], None)
    assert answer == ["It is sünny.", ToolCall("call_a", "hang_up", "{}")]


@pytest.mark.parametrize(
    "end",
    [
        [None],  # the connection breaks off, but the answer was complete
        [b"data: [DONE]\n\n", None],
        [b'data: {"choices": [], "usage": {}}\n\n', b": bye\n\n", None],
        [b"data: nonsense\n\n", None],
        [60.0],
    ],
)
async def test_what_follows_the_end_of_an_answer_is_ignored(end: list[Any]) -> None:
    assert await answer_of("yes", chunk({}, "stop"), *end) == ["yes "]


async def test_done_without_a_finish_reason_ends_the_answer() -> None:
    assert await answer_of("yes", b"data: [DONE]\n\n", None) == ["yes "]


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        ([], r"the answer is empty \(stop\)"),
        ([chunk({}, "content_filter"), None], r"the answer is empty \(content_filter\)"),
        ([None], "the answer is no chat completion"),
        ([b"<html>It works!</html>", None], "the answer is no chat completion"),
        ([b"data: {\n\n", None], "the answer is no chat completion"),
        ([b"data: []\n\n", None], "the answer is no chat completion"),
        ([b'{"choices": "yes"}', None], "the answer is no chat completion"),
        ([b'{"choices": [', None], "the answer is no chat completion"),
        ([b"{\xff", None], "the answer is no chat completion"),
        ([b"x" * 100_000, None], "the answer is no chat completion"),
        ([b'data: {"error": {"message": "over\\nloaded", "code": 1}}\n\n', None], "over loaded"),
        ([b'{"error": "no such model"}', None], "no such model"),
        ([b'{"error": {"message": "the key s3cret is wrong"}}', None], "an error"),
        ([b'{"error": {"code": 7}}', None], "an error"),
        ([60.0], rf"no answer within {SOME}"),
        ([b": still thinking\n\n", 0.15, b": still thinking\n\n", 0.15], rf"no answer within {SOME}"),
    ],
)  # fmt: skip
async def test_a_response_without_an_answer_is_an_error_with_its_reason(parts: list[Any], why: str) -> None:
    with pytest.raises(EngineError, match=rf"^127\.0\.0\.1:\d+: {why}$") as raised:
        await answer_of(*parts, timeout=0.2 if SOME in why else TIMEOUT, token="s3cret")
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("parts", "why"),
    [
        (["It is", None], "the answer broke off"),
        (["It is", 60.0], rf"the answer did not go on within {SOME}"),
        (["It is", b'data: {"error": {"message": "overloaded"}}\n\n', None], "overloaded"),
        (["It is", b"data: nonsense\n\n"], "the answer is no chat completion"),
    ],
)
async def test_half_an_answer_is_given_before_the_error(parts: list[Any], why: str) -> None:
    async with chatting(ChatServer(lambda body: parts), timeout=0.2) as chat:
        answer = chat.stream_answer(MESSAGES)
        assert [await anext(answer), await anext(answer)] == ["It ", "is "]
        with pytest.raises(EngineError, match=rf"^127\.0\.0\.1:\d+: {why}$"):
            await anext(answer)


REASONING = {"reasoning_content": "The caller wants"}


@pytest.mark.parametrize(
    "parts",
    [
        [{"content": "<think>The caller wants\n</think>Yes."}],
        [{"content": piece} for piece in "<think>a < b </thin </think>Yes<b>.</b>"],
        [{"content": "<thinking>Hm"}, {"content": "</think></thinking>Ye"}, {"content": "s."}],
        [REASONING, {"content": "", "reasoning": "to know"}, {"content": "Yes."}],
        [{"content": "Yes"}, {"content": ".<think>More?</think>"}],
        [{"content": "Yes. 1 <"}],
    ],
)
async def test_reasoning_is_left_out(parts: list[Any]) -> None:
    answer = "".join(map(str, await answer_of(*parts)))
    assert answer in ("Yes.", "Yes<b>.</b>", "Yes. 1 <")


async def test_reasoning_alone_is_no_answer() -> None:
    with pytest.raises(EngineError, match=r"the answer is nothing but reasoning \(stop\)$"):
        await answer_of({"content": "<think>for ever"})
    for reasoning in REASONING, {"content": "<think>"}:
        with pytest.raises(EngineError, match=rf"only reasoning within {SOME}$"):
            await answer_of(*[reasoning, 0.05] * 40, timeout=0.2)


async def test_fragments_of_a_tool_call_are_progress() -> None:
    slow = [fragment(0, "a", "play", ""), 0.15, fragment(0, None, None, "{"), 0.15, fragment(0, None, None, "}")]
    assert await answer_of(*slow, timeout=0.25 * UNIT) == [ToolCall("a", "play", "{}")]


@pytest.mark.parametrize(("status", "body", "why"), [(500, b"out\nof memory", ": out of memory"), (401, b"", "")])
async def test_an_http_error_is_reported_with_its_text(status: int, body: bytes, why: str) -> None:
    server = ChatServer(lambda asked: [body, None], status=status)
    with pytest.raises(EngineError, match=rf"HTTP status {status}{why}$"):
        await answer_of(server=server)


async def test_a_server_that_is_not_there_and_a_token_that_is_not_set() -> None:
    with pytest.raises(EngineError, match=r"^127\.0\.0\.1:1: cannot connect: Connection refused$"):
        await answer_of(url="http://127.0.0.1:1/v1")
    with pytest.raises(EngineError, match=r"^chat.token: the environment variable NO_SUCH is not set, or empty$"):
        await answer_of(token="env:NO_SUCH")


async def test_an_endless_answer_is_cut_off() -> None:
    server = ChatServer(lambda body: ["word " * MAX_ANSWER_CHARACTERS])
    answer = await answer_of(server=server)
    assert MAX_ANSWER_CHARACTERS < sum(map(len, answer)) < MAX_ANSWER_CHARACTERS + 10
    with pytest.raises(EngineError, match="no chat completion"):
        await answer_of(*[fragment(0, None, None, "x" * 1000)] * 20)


async def test_closing_the_generator_aborts_the_answer() -> None:
    server = ChatServer(lambda body: ["yes", 60.0])
    async with chatting(server) as chat:
        async with contextlib.aclosing(chat.stream_answer(MESSAGES)) as answer:
            assert await anext(answer) == "yes "
        await eventually(lambda: server.aborted)


async def test_the_url_may_end_in_a_slash() -> None:
    server = ChatServer(lambda body: ["yes"])
    async with server:
        speech = SpeechService(chat=ChatSettings(url=f"{server.url}/"))
        assert [piece async for piece in speech.chat.stream_answer(MESSAGES)] == ["yes "]
        await speech.close()
