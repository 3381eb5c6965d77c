"""WebSockets that we dial: why they cannot be opened, and pings, against real servers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from mediaserver.errors import PeerError
from mediaserver.transport.dialled import (
    DialFailure,
    DialFailureKind,
    DialledConnection,
    OpenWebSocket,
    client_session,
    open_websocket,
)
from tests.timing import PATIENCE, UNIT

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    """The URL of a server that does one thing with one connection, and closes it."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await serve(reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
            closed.set()

    closed = asyncio.Event()
    async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/private?key=secret"
        await asyncio.wait_for(closed.wait(), PATIENCE)


async def dial_failure(url: str, timeout: float = 10.0) -> DialFailure:
    failures: list[DialFailure] = []

    def to_error(failure: DialFailure) -> PeerError:
        failures.append(failure)
        return PeerError(failure.text)

    async with client_session() as client:
        with pytest.raises(PeerError) as raised:
            await open_websocket(client, url, to_error, timeout=timeout, close_timeout=1.0, max_message_bytes=1000)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__  # a traceback would show the URL
    return failures[0]


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (
            b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
            DialFailure(DialFailureKind.REFUSED, "Invalid response status", 503),
        ),
        (b"220 mail.example.com ESMTP\r\n", DialFailure(DialFailureKind.NOT_HTTP, "the answer is not HTTP")),
        (b"", DialFailure(DialFailureKind.BROKEN, "the server closed the connection without an answer")),
    ],
)
async def test_an_answer_that_is_no_upgrade_is_a_failure(answer: bytes, failure: DialFailure) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    async with serving(serve) as url:
        assert await dial_failure(url) == failure


async def test_a_server_that_does_not_answer_is_a_timeout() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with serving(serve) as url:
        assert (await dial_failure(url, timeout=0.1 * UNIT)).kind is DialFailureKind.TIMEOUT


async def test_a_port_without_a_server_is_unreachable(unused_tcp_port: int) -> None:
    failure = await dial_failure(f"ws://127.0.0.1:{unused_tcp_port}/")
    assert failure == DialFailure(DialFailureKind.UNREACHABLE, "cannot connect: Connection refused")


@pytest.mark.parametrize("url", ["ws://", "ws://a..b/", "ws://[::1/"])
async def test_an_invalid_url_is_a_failure(url: str) -> None:
    assert (await dial_failure(url)).kind is DialFailureKind.INVALID_URL


@contextlib.asynccontextmanager
async def opened(pongs: list[bytes]) -> AsyncIterator["ReadConnection"]:
    """A connection to a server that answers a ping with these pongs, whatever the payload of the ping."""

    async def serve(request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse(autoping=False)
        await websocket.prepare(request)
        async for _ in websocket:
            for payload in pongs:
                await websocket.pong(payload)
        return websocket

    app = web.Application()
    app.router.add_get("/", serve)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"ws://127.0.0.1:{runner.addresses[0][1]}/"
        async with client_session() as client:
            websocket = await open_websocket(
                client,
                url,
                lambda failure: PeerError(failure.text),
                timeout=10.0,
                close_timeout=1.0,
                max_message_bytes=1000,
            )
            connection = ReadConnection(websocket)
            reading = asyncio.create_task(connection.read())
            try:
                yield connection
            finally:
                websocket.transport.abort()
                await reading
    finally:
        await runner.cleanup()


class ReadConnection(DialledConnection):
    """A connection whose pongs are read."""

    def __init__(self, websocket: OpenWebSocket) -> None:
        super().__init__(websocket)
        self.ping = self._ping

    async def read(self) -> None:
        async for message in self._websocket:
            self._on_pong(message.data)


@pytest.mark.parametrize(
    ("pongs", "ping", "answered"),
    [
        ([b"12"], b"12", True),
        ([b"11", b"12"], b"12", True),
        ([b"11"], b"12", False),  # the pong to an earlier ping
        ([b"any"], b"", True),
        ([], b"", False),
    ],
)
async def test_a_ping_is_answered_by_a_pong_of_its_payload(
    pongs: list[bytes], ping: bytes, answered: bool
) -> None:
    async with opened(pongs) as connection:
        assert await connection.ping(ping, 10.0 if answered else 0.2 * UNIT) is answered
