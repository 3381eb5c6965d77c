"""Connections of HTTP clients: when a session is closed, so are its sockets."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
import trustme
from aiohttp import web

from mediaserver.support.http_connector import Connector
from tests.timing import PATIENCE


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextlib.asynccontextmanager
async def stubborn(server: ssl.SSLContext) -> AsyncIterator[int]:
    """The port of a server that answers a request, by TLS, and never says goodbye."""
    answers, done = asyncio.Queue[None](), asyncio.Event()

    def serve(listening: socket.socket) -> None:
        plain, _ = listening.accept()
        with plain, server.wrap_socket(plain, server_side=True) as connection:
            connection.recv(65_536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
            loop.call_soon_threadsafe(answers.put_nowait, None)
            asyncio.run_coroutine_threadsafe(done.wait(), loop).result()

    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(asyncio.to_thread(serve, listening))
        yield listening.getsockname()[1]
        done.set()
        await asyncio.wait_for(serving, PATIENCE)


async def test_a_server_that_never_answers_close_notify_is_left(authority: trustme.CA) -> None:
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    connector = Connector()
    async with stubborn(server) as port, aiohttp.ClientSession(connector=connector) as session:
        async with session.get(f"https://127.0.0.1:{port}/", ssl=client) as answer:
            assert await answer.text() == "ok"
        (plug,) = connector._sockets
        await session.close()
        assert plug.fileno() == -1


async def test_a_websocket_by_tls_is_closed_with_its_session(authority: trustme.CA) -> None:
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)

    async def answer(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        async for _ in websocket:
            pass
        return websocket

    app = web.Application()
    app.router.add_get("/", answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=server).start()
        url = f"wss://127.0.0.1:{runner.addresses[0][1]}/"
        async with (
            aiohttp.ClientSession(connector=Connector()) as session,
            session.ws_connect(url, ssl=client) as websocket,
        ):
            plug = websocket.get_extra_info("socket")
        assert plug.fileno() == -1
    finally:
        await runner.cleanup()
