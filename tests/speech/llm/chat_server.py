"""A chat model's server for tests: OpenAI's `/chat/completions`, on a real socket."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, Self

from aiohttp import web

# Text, raw bytes of the body, a delta, seconds to wait, or the end of the connection.
AnswerPart = str | bytes | dict[str, Any] | float | None


class ChatServer:
    """Answers each request with the parts that `answer` returns for its body; they are sent one by one.

    Text is sent word by word, at `pace` words a second; 0 stands for no pauses.
    """

    def __init__(
        self, answer: Callable[[dict[str, Any]], Sequence[AnswerPart]], pace: float = 0, status: int = 200
    ) -> None:
        self.requests: list[dict[str, Any]] = []
        self.tokens: list[str] = []
        self.aborted = 0  # answers that the client did not read to their end
        self.answer, self._pace, self._status = answer, pace, status
        self.content_type = "text/event-stream"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", self._complete)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self._runner.cleanup()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.requests.append(body)
        self.tokens.append(request.headers.get("Authorization", ""))
        response = web.StreamResponse(status=self._status, headers={"Content-Type": self.content_type})
        await response.prepare(request)
        try:
            async for data in self._parts(self.answer(body)):
                await response.write(data)
        except (asyncio.CancelledError, ConnectionError):
            self.aborted += 1
            raise
        return response

    async def _parts(self, answer: Sequence[AnswerPart]) -> AsyncIterator[bytes]:
        calls = False
        for part in answer:
            if part is None:
                return
            if isinstance(part, float):
                await asyncio.sleep(part)
            elif isinstance(part, bytes):
                yield part
            elif isinstance(part, dict):
                calls = calls or "tool_calls" in part
                yield chunk(part)
            else:
                for word in part.split(" "):
                    yield chunk({"content": f"{word} "})
                    await asyncio.sleep(1 / self._pace if self._pace else 0)
        yield chunk({}, "tool_calls" if calls else "stop") + b"data: [DONE]\n\n"


def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
    """One event of the stream, with one `chat.completion.chunk`."""
    return f"data: {json.dumps({'choices': [{'index': 0, 'delta': delta, 'finish_reason': finish}]})}\n\n".encode()


def call(name: str, arguments: str = "{}", *, index: int = 0, call_id: str = "call_a") -> dict[str, Any]:
    """A delta with one complete tool call."""
    return {
        "tool_calls": [
            {"index": index, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}
        ]
    }
