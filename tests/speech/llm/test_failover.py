"""Answers by several chat models, over real sockets: the next one answers, or continues, where one fails."""

import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from mediaserver.config.speech_settings import ChatServerSettings, ChatSettings
from mediaserver.errors import EngineError
from mediaserver.speech.llm.failover import CONTINUE
from mediaserver.speech.service import SpeechService
from tests.speech.llm.chat_server import ChatServer
from tests.timing import TIMEOUT, UNIT

MESSAGES = [{"role": "user", "content": "hello"}]


@contextlib.asynccontextmanager
async def serving(one: ChatServer, two: ChatServer, timeout: float = TIMEOUT) -> AsyncIterator[SpeechService]:
    async with one, two:
        settings = ChatSettings(
            url=one.url,
            model="large",
            engine=("openai", "local"),
            servers={"local": ChatServerSettings(url=two.url, model="tiny", token="s3cret-of-two")},
            timeout=timeout,
        )
        speech = SpeechService(chat=settings)
        try:
            yield speech
        finally:
            await speech.close()


async def answer_of(speech: SpeechService, resume: Callable[[], str] | None = None, model: str = "") -> str:
    return "".join([str(piece) async for piece in speech.chat.stream_answer(MESSAGES, (), model, resume)])


async def test_another_server_answers_with_its_own_model_and_token() -> None:
    one, two = (
        ChatServer(lambda body: [b"out of memory", None], status=500),
        ChatServer(lambda body: ["Good day."]),
    )
    async with serving(one, two) as speech:
        assert await answer_of(speech, model="huge") == "Good day. "
        assert await answer_of(speech, model="huge") == "Good day. "
        assert speech.engine_health == {("chat", "openai"): False, ("chat", "local"): True}
        assert speech.engine_failures == {("chat", "openai"): 1, ("chat", "local"): 0}
    assert [request["model"] for request in one.requests] == ["huge"]  # the second time it is passed over
    assert [request["model"] for request in two.requests] == ["tiny", "tiny"]
    assert two.tokens == ["Bearer s3cret-of-two"] * 2


async def test_a_server_that_does_not_begin_gives_way_after_half_of_the_timeout() -> None:
    one, two = ChatServer(lambda body: [60.0]), ChatServer(lambda body: ["Good day."])
    async with serving(one, two, timeout=2 * UNIT) as speech:
        assert await answer_of(speech) == "Good day. "
    assert one.aborted == 1


@pytest.mark.parametrize("fault", [None, 60.0], ids=["breaks off", "stops"])
async def test_an_answer_that_breaks_off_is_continued_after_its_last_complete_sentence(fault: Any) -> None:
    one = ChatServer(lambda body: ["It is sunny. Tomor", fault])
    two = ChatServer(lambda body: ["Tomorrow it rains."])
    async with serving(one, two, timeout=2 * UNIT) as speech:
        assert await answer_of(speech, lambda: "It is sunny.") == "It is sunny. Tomor Tomorrow it rains. "
    assert two.requests[0]["messages"] == [
        *MESSAGES, {"role": "assistant", "content": "It is sunny."}, {"role": "user", "content": CONTINUE},
    ]  # fmt: skip


async def test_an_answer_without_a_complete_sentence_is_asked_for_anew() -> None:
    one, two = ChatServer(lambda body: ["It is", None]), ChatServer(lambda body: ["It rains."])
    async with serving(one, two) as speech:
        assert await answer_of(speech, str) == "It is It rains. "
    assert two.requests[0]["messages"] == MESSAGES


async def test_an_answer_that_nobody_can_resume_fails() -> None:
    one, two = ChatServer(lambda body: ["It is", None]), ChatServer(lambda body: ["It rains."])
    async with serving(one, two) as speech:
        with pytest.raises(EngineError, match=r"^127\.0\.0\.1:\d+: the answer broke off$"):
            await answer_of(speech)
    assert not two.requests


async def test_where_no_server_answers_the_error_names_each() -> None:
    one, two = (ChatServer(lambda body: [None], status=500) for _ in range(2))
    async with serving(one, two) as speech:
        with pytest.raises(EngineError, match=r"^openai: 127\.0\.0\.1:\d+: HTTP status 500; local: 127\.0\.0\.1"):
            await answer_of(speech)


@pytest.mark.parametrize(
    ("status", "healthy"), [(400, True), (404, True), (401, False), (429, False), (503, False)]
)
async def test_a_status_that_blames_the_request_leaves_the_server_healthy(status: int, healthy: bool) -> None:
    """Otherwise one path with a misspelt model would take the server from all other paths."""
    one, two = ChatServer(lambda body: [None], status=status), ChatServer(lambda body: ["Good day."])
    async with serving(one, two) as speech:
        assert await answer_of(speech) == "Good day. "
        assert speech.engine_health["chat", "openai"] is healthy
