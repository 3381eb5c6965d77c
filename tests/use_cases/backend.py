"""The operator's own systems: a real HTTP server that takes events, and answers the questions of menus."""

import asyncio
import hmac
from collections.abc import Callable
from typing import Any, Self

from aiohttp import web

SECRET = "s3cret"


class Backend:
    """On a free port of 127.0.0.1. `events` in the order of arrival; `answer` is asked for the answers."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.questions: list[dict[str, Any]] = []
        self.answer: Callable[[dict[str, Any]], Any] = lambda question: {"hangup": True}
        self.url = ""
        app = web.Application()
        app.router.add_post("/events", self._event)
        app.router.add_post("/ask", self._ask)
        app.router.add_post("/slow", self._slow)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def told(self, kind: str) -> list[dict[str, Any]]:
        """The data of all events of a type."""
        return [event["data"] for event in self.events if event["type"] == kind]

    async def _event(self, request: web.Request) -> web.Response:
        await _verify(request)
        self.events.append(await request.json())
        return web.Response()

    async def _ask(self, request: web.Request) -> web.Response:
        await _verify(request)
        question = await request.json()
        self.questions.append(question)
        return web.json_response(self.answer(question))

    async def _slow(self, request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()


async def _verify(request: web.Request) -> None:
    signed = request.headers["X-Mediaserver-Timestamp"].encode() + b"." + await request.read()
    expected = "sha256=" + hmac.new(SECRET.encode(), signed, "sha256").hexdigest()
    assert hmac.compare_digest(expected, request.headers["X-Mediaserver-Signature"])
