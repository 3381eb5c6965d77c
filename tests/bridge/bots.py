"""Applications that callers are bridged to: real WebSocket servers, good ones and bad ones."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web

Bot = Callable[["Visit"], Awaitable[None]]


class Visit:
    """One connection to a bot, and what came on it. Texts are JSON."""

    def __init__(self, websocket: web.WebSocketResponse, request: web.Request) -> None:
        self.websocket, self.request = websocket, request
        self.messages: list[Any] = []
        self.over = False

    async def __aiter__(self) -> Any:
        async for message in self.websocket:
            said = json.loads(message.data) if message.type == WSMsgType.TEXT else message.data
            self.messages.append(said)
            yield said

    def got(self, event: str) -> list[dict[str, Any]]:
        return [said for said in self.messages if isinstance(said, dict) and said["event"] == event]

    async def say(self, **message: Any) -> None:
        await self.websocket.send_str(json.dumps(message))

    async def read(self) -> None:
        async for _ in self:
            pass


class Bots:
    """A server with a bot at every path; `visits` are the connections to it."""

    def __init__(self, **bots: Bot) -> None:
        self.bots = bots
        self.visits: dict[str, list[Visit]] = {name: [] for name in bots}
        self.refused = 0  # handshakes that were refused
        self.broken = False  # refuses all
        self.port = 0

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        app = web.Application()
        app.router.add_get("/{name}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if self.broken:
            self.refused += 1
            raise web.HTTPInternalServerError
        name = request.match_info["name"]
        if name not in self.bots:
            self.refused += 1
            raise web.HTTPNotFound
        if request.query.get("slow"):
            await asyncio.sleep(60)
        websocket = web.WebSocketResponse(timeout=0.1)
        await websocket.prepare(request)
        visit = Visit(websocket, request)
        self.visits[name].append(visit)
        try:
            await self.bots[name](visit)
        finally:
            visit.over = True
        return websocket


async def echo(visit: Visit) -> None:
    """A bot for Twilio's protocol: what it hears, it says."""
    async for said in visit:
        if said["event"] == "media":
            payload = said["media"]["payload"]
            await visit.say(event="media", streamSid=said["streamSid"], media={"payload": payload})


async def plain_echo(visit: Visit) -> None:
    """The same in plain PCM; it hangs up when 0 is pressed, with `stop` when 9 is."""
    async for said in visit:
        if isinstance(said, bytes):
            await visit.websocket.send_bytes(said)
        elif said == {"event": "dtmf", "digit": "0"}:
            return
        elif said == {"event": "dtmf", "digit": "9"}:
            await visit.say(event="stop")


def abort(visit: Visit) -> None:
    """Break off without a word."""
    assert visit.request.transport is not None
    visit.request.transport.abort()
