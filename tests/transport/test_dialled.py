"""WebSockets that we dial, against real servers: why they cannot be opened, what is received, and how they end."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import aiohttp
import pytest
import trustme
from aiohttp import WebSocketError, WSMessage, WSMsgType

from mediaserver.errors import PeerError
from mediaserver.playout.pacing.alarm import system_alarm
from mediaserver.playout.pacing.ticker import Ticker
from mediaserver.support.http_connector import Connector
from mediaserver.transport.client_tls import begin_tls
from mediaserver.transport.dialled import (
    DialFailure,
    DialFailureKind,
    OpenWebSocket,
    client_session,
    open_websocket,
)
from mediaserver.transport.frame_poller import FramePoller
from mediaserver.transport.held_writes import HeldWrites
from mediaserver.wire import websocket
from tests.timing import PATIENCE, UNIT, eventually

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
            await open_websocket(client, url, to_error, timeout=timeout, max_message_bytes=1000)
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


def upgrade(request: bytes, accept: bytes = b"") -> bytes:
    """The answer of a server that switches to a WebSocket."""
    key = next(line.split(b": ")[1] for line in request.splitlines() if line.startswith(b"Sec-WebSocket-Key: "))
    lines = (
        b"HTTP/1.1 101 Switching Protocols",
        b"Upgrade: websocket",
        b"Connection: Upgrade",
        b"Sec-WebSocket-Accept: " + (accept or websocket.accept_key(key.decode()).encode()),
    )
    return b"\r\n".join((*lines, b"", b""))


@contextlib.asynccontextmanager
async def opened(
    serve: Serve, authority: trustme.CA | None = None, *, autoping: bool = False, our_tls: bool = True
) -> AsyncIterator[OpenWebSocket]:
    """A WebSocket to a server that gets the request as it came, and does one thing with the connection.

    With an authority, TLS is spoken, on our side by the event loop if it is not `our_tls`.
    """

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError):
                await writer.wait_closed()

    tls = trusting = None
    if authority is not None:
        tls, trusting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
        authority.issue_cert("127.0.0.1").configure_cert(tls)
        authority.configure_trust(trusting)
    async with await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls) as server:
        url = f"{'wss' if tls else 'ws'}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        begin = partial(begin_tls, writes=HeldWrites()) if our_tls else None
        connector = Connector(ssl=trusting or True, begin_tls=begin)
        async with aiohttp.ClientSession(connector=connector) as client:
            websocket = await open_websocket(
                client,
                url,
                lambda failure: PeerError(failure.text),
                timeout=PATIENCE,
                max_message_bytes=1000,
                autoping=autoping,
            )
            try:
                yield websocket
            finally:
                websocket.transport.abort()


async def receive_all(opened: OpenWebSocket) -> list[WSMessage]:
    found = [await opened.receive()]
    while found[-1].type in (WSMsgType.BINARY, WSMsgType.TEXT, WSMsgType.PING, WSMsgType.PONG):
        found.append(await opened.receive())
    return found


@pytest.mark.parametrize("rest", [b"", websocket.binary(b"later")], ids=["close", "more"])
async def test_what_comes_together_with_the_answer_is_received(rest: bytes) -> None:
    """Even half a frame, and where the server is gone right behind it."""
    frames = websocket.binary(b"first") + websocket.text("second") + websocket.binary(bytes(500))

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer = upgrade(await reader.readuntil(b"\r\n\r\n"))
        if not rest:
            writer.write(answer + frames)
            return
        writer.write(answer + frames[:-100])
        await writer.drain()
        await go_on.wait()
        writer.write(frames[-100:] + rest)

    go_on = asyncio.Event()
    async with opened(serve) as websocket_:
        go_on.set()
        *messages, last = await receive_all(websocket_)
    assert [message.data for message in messages] == [b"first", "second", bytes(500)] + [b"later"] * bool(rest)
    assert (last.type, websocket_.close_code, websocket_.closed) == (WSMsgType.CLOSED, 1006, True)


async def test_what_a_server_sends_last_is_received_though_our_writes_fail() -> None:
    """It closes while we are late, and so write before we read."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(upgrade(await reader.readuntil(b"\r\n\r\n")) + websocket.binary(b"first"))
        await paused.wait()
        writer.write(websocket.binary(b"last") + websocket.close(1000))
        writer.close()
        await writer.wait_closed()
        gone.set()

    paused, gone = asyncio.Event(), asyncio.Event()
    async with opened(serve) as ours:
        assert (await ours.receive()).data == b"first"
        ours.transport.pause_reading()
        paused.set()
        await asyncio.wait_for(gone.wait(), PATIENCE)
        while not ours.transport.is_closing():
            ours.write(websocket.binary(b"ours"))
            await asyncio.sleep(0)
        *messages, end = await receive_all(ours)
    assert [message.data for message in messages] == [b"last"]
    assert (end.type, ours.close_code) == (WSMsgType.CLOSE, 1000)


async def test_an_accept_of_another_key_is_a_failure() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(upgrade(await reader.readuntil(b"\r\n\r\n"), accept=b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="))
        await reader.read()

    with pytest.raises(PeerError, match="Invalid challenge response"):
        async with opened(serve):
            pass


async def test_a_close_of_ours_waits_for_the_server_s_while_another_task_receives() -> None:
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(upgrade(await reader.readuntil(b"\r\n\r\n")))
        heard.extend(await reader.readexactly(8))
        writer.write(websocket.binary(b"on its way") + websocket.close(4000))
        heard.extend(await reader.read())

    async with opened(serve) as ours:
        receiving = asyncio.create_task(ours.receive())
        await asyncio.sleep(0)
        assert await asyncio.wait_for(ours.close(code=1001), PATIENCE)
        assert (await receiving).type is WSMsgType.CLOSING
        assert (ours.close_code, (await ours.receive()).type) == (4000, WSMsgType.CLOSED)
        assert not await ours.close()
        await eventually(lambda: len(heard) == 8)
    assert heard[:2] == b"\x88\x82"  # masked, with two bytes of code
    assert bytes(byte ^ key for byte, key in zip(heard[6:], heard[2:6], strict=False)) == (1001).to_bytes(2, "big")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"\xc2\x00", 1002),
        (websocket.binary(bytes(1000)), 1009),
        (b"\x81\x01\xff", 1007),
    ],
    ids=["reserved bit", "too big", "no UTF-8"],
)
async def test_a_server_that_breaks_the_protocol_is_told_so(data: bytes, code: int) -> None:
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(upgrade(await reader.readuntil(b"\r\n\r\n")) + websocket.binary(b"fine"))
        await writer.drain()
        await received.wait()
        writer.write(data)
        heard.extend(await reader.read())

    received = asyncio.Event()
    async with opened(serve) as ours:
        assert (await ours.receive()).data == b"fine"
        received.set()
        message = await asyncio.wait_for(ours.receive(), PATIENCE)
        assert isinstance(message.data, WebSocketError)
        assert (message.data.code, ours.close_code, ours.closed) == (code, code, True)
        await eventually(lambda: len(heard) == 8)
    assert bytes(byte ^ key for byte, key in zip(heard[6:], heard[2:6], strict=False)) == code.to_bytes(2, "big")


async def test_with_autoping_pings_are_answered_and_not_received() -> None:
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(upgrade(await reader.readuntil(b"\r\n\r\n")))
        writer.write(websocket.ping(b"12") + websocket.pong(b"3") + websocket.binary(b"data"))
        heard.extend(await reader.readexactly(8))
        writer.write(websocket.close(1000))
        await reader.read()

    async with opened(serve, autoping=True) as ours:
        assert [message.data for message in await receive_all(ours)] == [b"data", 1000]
    assert heard[:2] == b"\x8a\x82"
    assert bytes(byte ^ key for byte, key in zip(heard[6:], heard[2:6], strict=False)) == b"12"


@dataclass(eq=False)
class Sink:
    """Keeps the messages that were polled."""

    messages: list[bytes] = field(default_factory=list)
    received: int = 0
    listening: bool = True
    irregular: bool = False


@pytest.mark.parametrize(
    ("by_tls", "our_tls", "polled"),
    [(False, True, 10), (True, True, 10), (True, False, 0)],
    ids=["ws", "wss", "wss of the event loop"],
)
async def test_frames_are_polled_by_tls_as_well_if_it_is_ours(by_tls: bool, our_tls: bool, polled: int) -> None:
    frames = [websocket.binary(number.to_bytes(4, "big") * 80) for number in range(10)]

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(upgrade(await reader.readuntil(b"\r\n\r\n")))
        await polling.wait()
        for number, frame in enumerate(frames):
            await eventually(partial(have_come, number))
            writer.write(frame)
        await reader.read()

    def have_come(count: int) -> bool:
        return len(sink.messages) == count or not polled

    polling, sink, ticker = asyncio.Event(), Sink(), Ticker(partial(system_alarm, asyncio.get_running_loop()))

    def deliver(sinks: Sequence[Sink], messages: Sequence[bytes]) -> None:
        for each, message in zip(sinks, messages, strict=True):
            each.messages.append(message)

    async with opened(serve, trustme.CA() if by_tls else None, our_tls=our_tls) as ours:
        ours.poll_frames(FramePoller(ticker, deliver), sink, lambda: 320)
        polling.set()
        parsed = sum(map(len, frames[polled:]))
        await eventually(lambda: len(sink.messages) == polled and ours.received == parsed)
        ours.stop_polling()
    ticker.close()
    assert (sink.messages, sink.received) == (frames[:polled], polled)
