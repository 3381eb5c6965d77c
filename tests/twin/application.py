"""An application for the twin of chan_websocket that is not ours: plain aiohttp."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from tests.timing import PATIENCE
from tests.twin import ChanWebSocket

Ends = tuple[ChanWebSocket, web.WebSocketResponse]


@contextlib.asynccontextmanager
async def application(
    arrived: asyncio.Queue[web.WebSocketResponse], compress: bool = False, protocols: tuple[str, ...] = ("media",)
) -> AsyncIterator[str]:
    """The URL of an application that leaves its WebSockets to the test."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse(compress=False, protocols=protocols)
        if compress:
            websocket.headers["Sec-WebSocket-Extensions"] = "permessage-deflate"
        await websocket.prepare(request)
        arrived.put_nowait(websocket)
        # It is closed as soon as its close frame is sent. If this handler returned then, aiohttp would reset the
        # connection before a late peer has read that frame.
        while not websocket.closed or websocket.close_code is None:
            await asyncio.sleep(0.005)
        return websocket

    app = web.Application()
    app.router.add_get("/media", serve)
    async with TestServer(app) as server:
        yield str(server.make_url("/media"))


@contextlib.asynccontextmanager
async def call(protocols: tuple[str, ...] = ("media",), said: bytes = b"", **options: Any) -> AsyncIterator[Ends]:
    """A call that is with an application, and what the application has of it."""
    arrived: asyncio.Queue[web.WebSocketResponse] = asyncio.Queue()
    async with application(arrived, protocols=protocols) as url:
        channel = ChanWebSocket(url, channel_id="ws-1a2b3c4d", **options)
        channel.say(said)
        async with channel:
            websocket = await asyncio.wait_for(arrived.get(), PATIENCE)
            yield channel, websocket
            await websocket.close()


async def text(websocket: web.WebSocketResponse) -> str:
    """The next text, past all sound."""
    async with asyncio.timeout(PATIENCE):
        while True:
            message = await websocket.receive()
            if message.type == aiohttp.WSMsgType.TEXT:
                return str(message.data)
            assert message.type == aiohttp.WSMsgType.BINARY


async def sound(websocket: web.WebSocketResponse, count: int) -> list[bytes]:
    """The next frames, past all texts."""
    frames: list[bytes] = []
    async with asyncio.timeout(PATIENCE):
        while len(frames) < count:
            message = await websocket.receive()
            if message.type == aiohttp.WSMsgType.BINARY:
                frames.append(message.data)
    return frames
