"""Applications that callers are bridged to: real WebSocket servers, good ones and bad ones."""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import WSMsgType, web

Bot = Callable[["BotConnection"], Awaitable[None]]


class BotConnection:
    """One connection to a bot, and the messages received on it. Texts are JSON."""

    def __init__(self, websocket: web.WebSocketResponse, request: web.Request) -> None:
        self.websocket, self.request = websocket, request
        self.messages: list[Any] = []
        self.over = False

    async def __aiter__(self) -> Any:
        async for message in self.websocket:
            said = json.loads(message.data) if message.type == WSMsgType.TEXT else message.data
            self.messages.append(said)
            yield said

    def events_named(self, event: str) -> list[dict[str, Any]]:
        return [said for said in self.messages if isinstance(said, dict) and said["event"] == event]

    async def send_event(self, **message: Any) -> None:
        await self.websocket.send_str(json.dumps(message))

    async def read(self) -> None:
        async for _ in self:
            pass


class BotServer:
    """A server with a bot at every path, and the connections to each."""

    def __init__(self, **bots: Bot) -> None:
        self.bots = bots
        self.connections: dict[str, list[BotConnection]] = {name: [] for name in bots}
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
        connection = BotConnection(websocket, request)
        self.connections[name].append(connection)
        try:
            await self.bots[name](connection)
        finally:
            connection.over = True
        return websocket


async def echo(connection: BotConnection) -> None:
    """A bot for the Twilio dialect that sends back the audio it receives."""
    async for said in connection:
        if said["event"] == "media":
            payload = said["media"]["payload"]
            await connection.send_event(event="media", streamSid=said["streamSid"], media={"payload": payload})


async def plain_echo(connection: BotConnection) -> None:
    """The same for the plain dialect; it hangs up when 0 is pressed, with `stop` when 9 is."""
    async for said in connection:
        if isinstance(said, bytes):
            await connection.websocket.send_bytes(said)
        elif said == {"event": "dtmf", "digit": "0"}:
            return
        elif said == {"event": "dtmf", "digit": "9"}:
            await connection.send_event(event="stop")


def abort(connection: BotConnection) -> None:
    """Break the connection without a close frame."""
    assert connection.request.transport is not None
    connection.request.transport.abort()
