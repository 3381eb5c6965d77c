"""Connections of both kinds that break: all that the peer sent before is still received, and no more than the
limits.
"""

import asyncio
import errno
from typing import Any
from uuid import UUID

import pytest
from aiohttp import WSMsgType, web

from mediaserver.call import End, EndReason, Session, Stream
from mediaserver.config.listener_settings import ServerSettings
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.server.audiosocket.connection import AudioSocketConnection
from mediaserver.server.http.connections import Connections
from mediaserver.support.metrics import Metrics
from mediaserver.transport.server_websocket import ServerWebSocket
from mediaserver.wire import websocket
from mediaserver.wire.encapsulation import Carrier, WireSettings
from mediaserver.wire.wire import Wire
from tests.handlers.test_handlers import library_of
from tests.server.plain_peer import HANGUP, SILENCE, UUID_MESSAGE
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time

FRAMES = 100  # eight slices


class FakeTransport(asyncio.Transport):
    """A transport without a socket: the test calls its protocol, and looks at what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closing, self.aborted, self.reading = b"", False, False, True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        pass

    def write(self, data: Any) -> None:
        self.written += data

    def write_eof(self) -> None:
        pass

    def is_closing(self) -> bool:
        return self.closing

    def close(self) -> None:
        self.closing = True

    def abort(self) -> None:
        self.closing = self.aborted = True

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True


def masked(opcode: int, payload: bytes) -> bytes:
    """A frame as a client sends it, by a key of zeros (RFC 6455, section 5.2)."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + bytes(4) + payload


def numbered(count: int) -> bytes:
    return b"".join(masked(2, n.to_bytes(2, "big") * 160) for n in range(count))


def make_websocket(
    max_message_bytes: int = 65_536,
) -> tuple[ServerWebSocket, FakeTransport, list[ServerWebSocket]]:
    transport, lost = FakeTransport(), []
    return ServerWebSocket(transport, max_message_bytes, lost.append), transport, lost


async def receive_all(connection: ServerWebSocket) -> list[tuple[WSMsgType, Any]]:
    """All messages to the end."""
    found = []
    while not found or found[-1][0] not in (WSMsgType.CLOSED, WSMsgType.CLOSE):
        message = await connection.receive()
        found.append((message.type, message.data))
    return found


# -- a WebSocket -----------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 12, 13, FRAMES])  # twelve are less than a slice
@in_virtual_time
async def test_a_burst_before_a_break_is_read_to_its_last_message(size: int, loop: VirtualLoop) -> None:
    connection, _, lost = make_websocket()
    connection.data_received(numbered(size))
    connection.connection_lost(None)
    *messages, end = await receive_all(connection)
    assert [int.from_bytes(data[:2], "big") for _, data in messages] == list(range(size))
    assert end[0] is WSMsgType.CLOSED
    assert lost == [connection]


@in_virtual_time
async def test_a_close_behind_a_burst_is_read_after_it_and_answered(loop: VirtualLoop) -> None:
    connection, transport, lost = make_websocket()
    connection.data_received(numbered(FRAMES) + masked(8, (4000).to_bytes(2, "big")))
    messages = await receive_all(connection)
    assert len(messages) == FRAMES + 1
    assert messages[-1] == (WSMsgType.CLOSE, 4000)
    assert transport.written == websocket.close(1000)
    assert (transport.closing, transport.aborted, connection.closed, lost) == (True, False, True, [])
    assert (await connection.receive()).type is WSMsgType.CLOSED
    assert not await connection.close(code=1000, message=b"")


@in_virtual_time
async def test_our_close_waits_for_the_peer_s_and_is_sent_once(loop: VirtualLoop) -> None:
    connection, transport, _ = make_websocket()
    closing = asyncio.create_task(connection.close(code=1001, message=b"bye"))
    await asyncio.sleep(0.1)
    connection.data_received(numbered(3))
    await asyncio.sleep(0.1)
    assert (closing.done(), transport.closing) == (False, False)
    connection.data_received(masked(8, (1001).to_bytes(2, "big")))
    assert await closing
    assert transport.written == websocket.close(1001, b"bye")
    assert transport.closing


@in_virtual_time
async def test_a_break_while_we_close_is_the_end_as_well(loop: VirtualLoop) -> None:
    connection, _, _ = make_websocket()
    closing = asyncio.create_task(connection.close(code=1000, message=b""))
    await asyncio.sleep(0.1)
    connection.connection_lost(None)
    assert await closing
    connection.write(b"after the break")


class IdleReader:
    """Receives no message."""

    messages = 0


@in_virtual_time
async def test_more_bytes_than_may_wait_are_a_flood_and_not_parsed(loop: VirtualLoop) -> None:
    connection, transport, _ = make_websocket()
    ends: list[End] = []
    connection.enforce_limits(IdleReader(), ends.append)
    connection.data_received(bytes(300_000))
    connection.data_received(bytes(200_000))
    assert ends == []
    connection.data_received(bytes(50_000))
    assert [end.reason for end in ends] == [EndReason.FLOOD]
    assert transport.aborted
    before = connection.received
    await asyncio.sleep(0.1)
    assert connection.received == before


@in_virtual_time
async def test_a_message_that_does_not_end_is_oversize(loop: VirtualLoop) -> None:
    connection, transport, _ = make_websocket(max_message_bytes=10_000)
    reader, ends = IdleReader(), []
    connection.enforce_limits(reader, ends.append)
    piece, step = masked(2, bytes(100)), 2 * (10_000 + 4096)
    for n in range(3 * step // len(piece)):
        reader.messages = n
        connection.data_received(piece)
    assert ends == []
    for _ in range(2 * step // len(piece) + 2):
        connection.data_received(piece)
    assert [(end.reason, end.code) for end in ends][:1] == [(EndReason.OVERSIZE, 1006)]
    assert transport.aborted
    ends.clear()
    connection.lift_limits()
    for _ in range(3 * step // len(piece)):
        connection.data_received(piece)
    assert ends == []


# -- AudioSocket -----------------------------------------------------------------------------------


class FakeAcceptor:
    """Begins the same session on every connection."""

    def __init__(self, session: Session) -> None:
        async def never(request: web.BaseRequest) -> web.StreamResponse:
            raise LookupError

        self.connections, self.session = Connections(never, ServerSettings, Metrics()), session

    def on_connected(self, connection: AudioSocketConnection) -> None:
        pass

    def on_uuid(self, connection: AudioSocketConnection, uuid: UUID) -> None:
        connection.begin(self.session)


def make_audiosocket(loop: VirtualLoop) -> tuple[AudioSocketConnection, FakeTransport, Session, FakeAcceptor]:
    stage, transport = VirtualStream(loop, WireSettings()), FakeTransport()
    wire = Wire(WireSettings(), carrier=Carrier.TCP)
    session = Session(Stream("id", "/", "peer"), wire, library_of(), stage.pacer, loop.time)
    acceptor = FakeAcceptor(session)
    connection = AudioSocketConnection(9000, acceptor)
    connection.connection_made(transport)
    return connection, transport, session, acceptor


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        (lambda connection: connection.eof_received(), "peer-closed"),
        (lambda connection: connection.connection_lost(None), "peer-vanished"),
        (lambda connection: connection.connection_lost(ConnectionResetError()), "peer-vanished"),
        (lambda connection: connection.connection_lost(OSError(errno.ETIMEDOUT, "")), "unanswered"),
    ],
    ids=["closed", "gone", "reset", "unanswered"],
)
@in_virtual_time
async def test_a_burst_before_the_end_is_received_to_its_last_message(
    ends: Any, reason: str, loop: VirtualLoop
) -> None:
    connection, _, session, acceptor = make_audiosocket(loop)
    connection.data_received(UUID_MESSAGE + FRAMES * SILENCE)
    ends(connection)
    assert session.end is None
    await asyncio.sleep(0.1)
    assert session.receiver.received == FRAMES
    assert session.end is not None
    assert (session.end.reason, session.connected) == (reason, False)
    if reason != "peer-closed":
        assert len(acceptor.connections) == 0
        await connection.close(session.end)  # the connection is gone already
    connection.release()


@in_virtual_time
async def test_a_hang_up_behind_a_burst_is_the_end(loop: VirtualLoop) -> None:
    connection, _, session, _ = make_audiosocket(loop)
    connection.data_received(UUID_MESSAGE + FRAMES * SILENCE + HANGUP)
    connection.connection_lost(None)
    await asyncio.sleep(0.1)
    assert session.receiver.received == FRAMES + 1
    assert session.end is not None
    assert session.end.reason == "peer-hung-up"
    connection.release()


@in_virtual_time
async def test_reading_pauses_while_too_many_bytes_wait(loop: VirtualLoop) -> None:
    connection, transport, session, _ = make_audiosocket(loop)
    wide = b"\x18\x1e\x00" + bytes(7680)
    connection.data_received(UUID_MESSAGE + 30 * wide)
    assert transport.reading
    connection.data_received(wide)
    assert not transport.reading
    await asyncio.sleep(0.1)
    assert transport.reading
    assert session.receiver.received == 31
    connection.release()


@in_virtual_time
async def test_a_peer_without_a_uuid_in_time_is_refused_and_reset(loop: VirtualLoop) -> None:
    connection, transport, session, acceptor = make_audiosocket(loop)
    connection.data_received(UUID_MESSAGE[:10])
    assert list(acceptor.connections.handshaking) == [connection]
    await asyncio.sleep(ServerSettings().handshake_timeout + 0.1)
    assert transport.written == HANGUP
    assert not acceptor.connections.handshaking
    assert list(acceptor.connections.refused) == [connection]
    await asyncio.sleep(5.1)
    assert transport.aborted
    connection.connection_lost(None)
    assert (len(acceptor.connections), len(acceptor.connections.refused)) == (0, 0)
    assert session.end is None


@in_virtual_time
async def test_an_evicted_connection_is_hung_up_and_counted_once(loop: VirtualLoop) -> None:
    connection, transport, _, acceptor = make_audiosocket(loop)
    connection.reject(RefusedError(RefusalReason.DESCRIPTORS, "full"))
    connection.reject(RefusedError(RefusalReason.DESCRIPTORS, "full"))
    assert (transport.written, transport.closing) == (HANGUP, True)
    counted = acceptor.connections.metrics.refused.labels("descriptors", 503)
    assert counted._value.get() == 1
    connection.connection_lost(None)
