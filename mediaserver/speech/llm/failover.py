"""Failover of chat models (LLM): if a model fails, the next one answers, or continues an answer that broke off."""

import contextlib
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any

from mediaserver.speech.engines.failover import Failover
from mediaserver.speech.llm.chat import ChatClient, Message, ToolCall

# The request to a model to continue an answer that another model began, and that broke off.
CONTINUE = "Your answer broke off after these words. Continue it there, and repeat nothing of it."


class FailoverChat:
    """Requests an answer from several chat models, one after another, until one of them gives it.

    `timeout` is the limit in seconds until the answer begins, and between two of its pieces. The models share it.
    """

    def __init__(self, clients: Mapping[str, ChatClient], failover: Failover, timeout: float) -> None:
        self._clients, self._failover, self._timeout = clients, failover, timeout

    async def stream_answer(
        self,
        messages: Sequence[Message],
        tools: Sequence[Mapping[str, Any]] = (),
        model: str = "",
        resume: Callable[[], str] | None = None,
    ) -> AsyncGenerator[str | ToolCall, None]:
        """Yield the answer to a conversation as it arrives: pieces of text of any size, then the tool calls.

        `messages` and `tools` have OpenAI's format. `model` is the name of a model on the first server; if it is
        "", the model configured for the first server answers. On any other server, the model configured for that
        server answers.

        If an answer breaks off, `resume` is called. It drops the unfinished sentence, and returns the complete
        sentences so far. The next model is then asked to continue after these sentences. Without `resume` the
        answer fails. Raises EngineError if no model gives an answer, or if no model continues an answer that broke
        off.
        """
        attempts = self._failover.attempts(tuple(self._clients), self._timeout)
        begun, asked = False, messages
        for attempt in attempts:
            with attempt:
                client = self._clients[attempt.engine]
                if begun:
                    asked = continued(messages, resume() if resume is not None else "")
                chosen = model if attempt.engine == next(iter(self._clients)) else ""
                async with contextlib.aclosing(client.stream_answer(asked, tools, chosen, attempt)) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
                return
            if begun and resume is None:
                break
        raise attempts.failure()


def continued(messages: Sequence[Message], spoken: str) -> Sequence[Message]:
    """The messages that ask a model to continue an answer after its beginning `spoken`, which is not repeated."""
    if not spoken:
        return messages
    return [*messages, {"role": "assistant", "content": spoken}, {"role": "user", "content": CONTINUE}]
