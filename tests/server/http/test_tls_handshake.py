"""Connections in their TLS handshake: those that are gone count no more, and none delays another."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any

import pytest
import structlog
import trustme
import uvloop
from aiohttp import web

from mediaserver.config.listener_settings import ServerSettings
from mediaserver.server.http.connections import Connections
from mediaserver.server.http.eviction import NO_ROOM
from mediaserver.server.http.listener import AddressKeys, Listener
from mediaserver.server.http.tls_handshake import TlsHandshakeFactory
from mediaserver.support.metrics import Metrics
from mediaserver.transport.held_writes import HeldWrites
from tests.timing import PATIENCE, eventually

REQUEST = b"GET /some HTTP/1.1\r\nHost: here\r\n\r\n"
LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "uvloop": uvloop.new_event_loop,
    "asyncio": asyncio.SelectorEventLoop,
}


@dataclass
class Port:
    """A port that speaks TLS."""

    number: int
    connections: Connections
    client: ssl.SSLContext

    def refused(self, reason: str, status: int) -> float:
        return self.connections.metrics.refused.labels(reason, status)._value.get()

    def connect(self) -> socket.socket:
        """A connection without TLS."""
        plug = socket.create_connection(("127.0.0.1", self.number))
        plug.setblocking(False)
        return plug

    async def ask(self) -> bytes:
        """The answer to a request by TLS."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.number, ssl=self.client, server_hostname="127.0.0.1"
        )
        writer.write(REQUEST)
        try:
            return (await asyncio.wait_for(reader.read(), PATIENCE)).rpartition(b"\r\n")[2]
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def is_closed(plug: socket.socket) -> bool:
    """Whether the server closes a connection without sending anything."""
    with contextlib.suppress(ConnectionResetError):
        return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(plug, 1), PATIENCE) == b""
    return True


@contextlib.asynccontextmanager
async def listening(handshake_timeout: float = 60.0) -> AsyncIterator[Port]:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        request.protocol.on_request_read()  # type: ignore[attr-defined]
        response = web.Response(text=request.path)
        response.force_close()
        return response

    authority = trustme.CA()
    ours, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("127.0.0.1").configure_cert(ours)
    authority.configure_trust(client)
    connections = Connections(answer, lambda: ServerSettings(handshake_timeout=handshake_timeout), Metrics())
    listener = Listener(TlsHandshakeFactory(connections, ours, HeldWrites()), lambda: connections.has_room)
    port = await listener.open("127.0.0.1", 0, AddressKeys("server.host", "server.port"))
    try:
        yield Port(port, connections, client)
    finally:
        await listener.close()
        await connections.shutdown(1)
        await eventually(lambda: not len(connections))


@pytest.fixture(params=LOOPS, autouse=True)
def event_loop_of(request: pytest.FixtureRequest) -> Callable[[Any], None]:
    """Runs a test on asyncio's event loop and on uvloop's, which have TCP transports of their own."""

    def run(main: Any) -> None:
        with asyncio.Runner(loop_factory=LOOPS[request.param]) as runner:
            runner.run(main)

    return run


Run = Callable[[Any], None]


def test_a_peer_that_leaves_during_its_handshake_counts_no_more(event_loop_of: Run) -> None:
    async def main() -> None:
        async with listening() as port:
            for said in (b"", b"\x16", b"\x16\x03\x01\x02"):
                plug = port.connect()
                plug.send(said)
                await eventually(lambda: port.connections.handshakes_in_progress)
                assert len(port.connections) == 1
                plug.close()
                await eventually(lambda: not len(port.connections))
                assert not port.connections.handshakes_in_progress
            assert await port.ask() == b"/some"
            assert port.refused("tls", 400) == 0

    event_loop_of(main())


@pytest.mark.parametrize("said", [b"", b"\x16", b"\x16\x03\x01\x02"])
def test_a_rejected_handshake_is_aborted_at_once(event_loop_of: Run, said: bytes) -> None:
    async def main() -> None:
        async with listening() as port:
            with port.connect() as plug:
                plug.send(said)
                stage = port.connections.handshaking if said else port.connections.awaiting_tls
                await eventually(lambda: stage)
                (handshake,) = stage
                handshake.reject(NO_ROOM)
                assert await is_closed(plug)
            await eventually(lambda: not len(port.connections))
            assert port.refused("descriptors", 503) == 1
            assert await port.ask() == b"/some"

    event_loop_of(main())


def test_a_handshake_that_takes_too_long_is_counted_and_aborted(event_loop_of: Run) -> None:
    async def main() -> None:
        async with listening(handshake_timeout=0.1) as port:
            for said in (b"", b"\x16\x03"):
                with port.connect() as plug:
                    plug.send(said)
                    assert await is_closed(plug)
            assert port.refused("slow-handshake", 408) == 2
            assert port.connections.metrics.peer_faults.labels("slow-handshake")._value.get() == 2

    event_loop_of(main())


def test_a_peer_without_tls_is_counted_and_logged(event_loop_of: Run) -> None:
    async def main() -> None:
        async with listening() as port:
            with structlog.testing.capture_logs() as logged, port.connect() as plug:
                plug.send(REQUEST)
                await eventually(lambda: port.refused("tls", 400))
            (line,) = [line for line in logged if line["event"] == "refused"]
            assert line["why"] == "the TLS handshake failed: http request"
            assert line["peer"] == "127.0.0.1"

    event_loop_of(main())


@pytest.mark.parametrize("piece", [1, 100, 10_000])
def test_a_request_right_behind_the_handshake_is_not_lost(event_loop_of: Run, piece: int) -> None:
    """In one segment or in several."""

    async def main() -> None:
        async with listening() as port:
            loop = asyncio.get_running_loop()
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            tls = port.client.wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")

            async def say() -> None:
                said = outgoing.read()
                for at in range(0, len(said), piece):
                    await loop.sock_sendall(plug, said[at : at + piece])

            with port.connect() as plug:
                plug.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while True:
                    try:
                        tls.do_handshake()
                        break
                    except ssl.SSLWantReadError:
                        await say()
                        incoming.write(await asyncio.wait_for(loop.sock_recv(plug, 65536), PATIENCE))
                tls.write(REQUEST)  # in one flight with the end of the handshake
                await say()
                answer = b""
                while not answer.endswith(b"/some"):
                    try:
                        answer += tls.read(65536)
                    except ssl.SSLWantReadError:
                        incoming.write(await asyncio.wait_for(loop.sock_recv(plug, 65536), PATIENCE))

    event_loop_of(main())


def test_at_most_one_tls_handshake_starts_in_a_turn_of_the_loop(event_loop_of: Run) -> None:
    """No two handshakes begin in one turn of the event loop."""

    async def main() -> None:
        started, turn = [], 0

        class Handshake:
            def start(self) -> None:
                started.append(turn)

        def count() -> None:
            nonlocal turn
            turn += 1
            asyncio.get_running_loop().call_soon(count)

        count()
        async with listening() as port:
            handshakes = TlsHandshakeFactory(port.connections, port.client, HeldWrites())
            for _ in range(5):
                handshakes.schedule(Handshake())  # type: ignore[arg-type]
            await eventually(lambda: len(started) == 5)
            assert len(set(started)) == 5

    event_loop_of(main())
