"""The simulator against faulty servers: real sockets, plain bytes."""

import asyncio
import base64
import contextlib
import hashlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trustme

from mediaserver.client import simulator
from mediaserver.client.dial import UpgradeRefusedError
from mediaserver.client.measure import Report
from mediaserver.client.simulator import SimulatedCall
from mediaserver.errors import PeerError
from mediaserver.wire import websocket
from tests.sound import speechlike, write_wav
from tests.timing import PATIENCE

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(serve: Serve, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The ws:// URL of a server that does one thing with each connection."""
    connections: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.add(asyncio.current_task())  # type: ignore[arg-type]
        try:
            await serve(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async with await asyncio.start_server(handle, "127.0.0.1", 0, ssl=tls) as server:
        try:
            yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        finally:
            for connection in connections:
                connection.cancel()
            await asyncio.gather(*connections, return_exceptions=True)


async def upgrade(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: bytes = b"Connection: Upgrade\r\n"
) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    key = next(line.split(": ")[1] for line in head.splitlines() if line.lower().startswith("sec-websocket-key"))
    digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()  # noqa: S324 - RFC 6455
    writer.write(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        + connection
        + b"Sec-WebSocket-Accept: "
        + base64.b64encode(digest)
        + b"\r\n\r\n"
    )


async def call(serve: Serve, **options: Any) -> Report:
    async with serving(serve) as url:
        return await asyncio.wait_for(simulator.simulate(SimulatedCall(url, **options)), PATIENCE)


async def test_a_server_that_closes_without_a_status() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade(reader, writer)
        writer.write(websocket.binary(bytes(320)) + b"\x88\x00")
        await reader.read()

    report = await call(serve)
    assert (report.frames, report.close_code, report.problems) == (1, 1005, [])


@pytest.mark.parametrize(
    "connection",
    [
        b"Connection: keep-alive, Upgrade\r\n",
        b"connection:upgrade ,keep-alive\r\n",
        b"Connection: keep-alive\r\nConnection: Upgrade\r\n",
    ],
)
async def test_a_proxy_that_lists_more_than_the_upgrade_in_its_connection_header(connection: bytes) -> None:
    """RFC 6455, section 4.1: the header has to contain the token; RFC 9110, section 7.6.1: it is a list."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade(reader, writer, connection)
        writer.write(websocket.binary(bytes(320)) + b"\x88\x00")
        await reader.read()

    report = await call(serve)
    assert (report.frames, report.close_code, report.problems) == (1, 1005, [])


async def test_an_answer_without_an_upgrade_in_its_connection_header_is_refused() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade(reader, writer, b"Connection: keep-alive, x-upgrade\r\n")
        await reader.read()

    with pytest.raises(PeerError, match="Invalid connection header"):
        await call(serve)


async def test_a_server_that_closes_at_once_gets_no_keys_and_is_not_reported_as_loud() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade(reader, writer)
        writer.write(b"\x88\x02\x03\xf3")
        await reader.read()

    report = await call(serve, digits="12")
    assert report.problems == [
        "no audio came",
        "the stream was closed with 1011",
        "nothing was sent: the stream ended before it could be",
    ]


async def test_a_server_that_goes_on_sending_and_never_answers_the_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulator, "CLOSE_TIMEOUT", 0.5)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade(reader, writer)
        while True:
            writer.write(websocket.binary(bytes(320)))
            await writer.drain()
            await asyncio.sleep(0.02)

    report = await call(serve, seconds=0.5)
    assert report.frames >= 10
    assert report.close_code == 1006


async def test_a_server_that_sends_text_and_garbage() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade(reader, writer)
        writer.write(b"\x81\x02hi" + websocket.binary(bytes(7)) + b"\x88\x02\x03\xe8")
        await reader.read()

    report = await call(serve)
    assert (report.frames, report.bad_frames, report.close_code) == (1, 1, 1000)
    expected = "audiosocket in auto framing was expected, and the first of them was 7 bytes"
    assert expected in report.problems[0]


async def test_a_server_that_sends_a_hang_up_before_it_closes() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade(reader, writer)
        frame = b"\x10\x01\x40" + bytes(320)
        writer.write(websocket.binary(frame) + websocket.binary(b"\x00\x00\x00") + b"\x88\x02\x03\xe8")
        await reader.read()

    report = await call(serve)
    assert (report.frames, report.framing, report.problems) == (1, "message", [])


async def test_nothing_is_sent_behind_the_close(tmp_path: Path) -> None:
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade(reader, writer)
        while b"\x88\x82" not in heard[-1000:]:
            heard.extend(await reader.read(65_536))
        await asyncio.sleep(0.1)  # five frames' time
        writer.write(b"\x88\x02\x03\xe8")
        heard.extend(await reader.read())

    async with serving(serve) as url:
        sent = write_wav(tmp_path / "in.wav", speechlike(160 * 100))
        report = await simulator.simulate(SimulatedCall(url, seconds=0.3, send=sent, after=0))
    assert report.close_code == 1000
    assert heard[-8:-6] == b"\x88\x82"  # masked, with two bytes of code


async def test_a_port_of_audiosocket_is_named() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"\x00\x00\x00")

    with pytest.raises(
        PeerError, match=r"the answer is not HTTP\. A port of AudioSocket is dialled by tcp://, as in tcp://127"
    ):
        await call(serve)


async def test_http_is_another_name_of_the_scheme() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade(reader, writer)
        writer.write(websocket.binary(bytes(320)) + b"\x88\x02\x03\xe8")
        await reader.read()

    async with serving(serve) as url:
        report = await simulator.simulate(SimulatedCall(url.replace("ws://", "http://")))
    assert report.frames == 1


async def test_dialling_a_server_that_never_answers_can_be_given_up() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    hang_up = asyncio.Event()
    asyncio.get_running_loop().call_later(0.2, hang_up.set)
    async with serving(serve) as url:
        with pytest.raises(PeerError, match="given up before the server answered"):
            await asyncio.wait_for(simulator.simulate(SimulatedCall(url), hang_up=hang_up), PATIENCE)


async def test_a_server_that_refuses_with_a_page() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 12\r\n\r\nnot\nfor you\n")
        await writer.drain()

    with pytest.raises(UpgradeRefusedError, match=r"^not for you$") as caught:
        await call(serve)
    assert caught.value.status == 403


async def test_a_server_that_hangs_up_in_the_handshake() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    with pytest.raises(
        PeerError, match="cannot connect: the server closed the connection without an answer: if TLS is"
    ):
        await call(serve)


async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


async def test_a_server_that_speaks_tls_is_to_be_dialled_by_wss() -> None:
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(tls)
    async with serving(never, tls) as url:
        with pytest.raises(PeerError, match=r"without an answer: if TLS is spoken there, dial it by wss://$"):
            await simulator.simulate(SimulatedCall(url))
        why = r"cannot connect by TLS: the certificate is not trusted: .*\. SSL_CERT_FILE can name a file with"
        with pytest.raises(PeerError, match=why):
            await simulator.simulate(SimulatedCall(url.replace("ws:", "wss:")))


async def test_a_server_that_speaks_no_tls_is_to_be_dialled_by_ws() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with serving(serve) as url:
        why = "^cannot connect by TLS: what listens there speaks no TLS: dial it by ws://$"
        with pytest.raises(PeerError, match=why):
            await simulator.simulate(SimulatedCall(url.replace("ws:", "wss:")))
