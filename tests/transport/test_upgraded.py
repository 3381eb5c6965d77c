"""What is left of a connection when it breaks: all that the peer said before is still taken in, and no more."""

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
from mediaserver.transport.upgraded import Upgraded
from mediaserver.wire import websocket
from mediaserver.wire.encapsulation import Carrier, WireSettings
from mediaserver.wire.wire import Wire
from tests.handlers.test_handlers import library_of
from tests.server.plain_peer import HANGUP, SILENCE, UUID_MESSAGE
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time

FRAMES = 100  # eight slices


class Pipe(asyncio.Transport):
    """A transport that goes nowhere: a test says what comes, and when it breaks."""

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


def upgraded(max_message_bytes: int = 65_536) -> tuple[Upgraded, Pipe, list[Upgraded]]:
    pipe, lost = Pipe(), []
    return Upgraded(pipe, max_message_bytes, lost.append), pipe, lost


async def received(connection: Upgraded) -> list[tuple[WSMsgType, Any]]:
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
    connection, _, lost = upgraded()
    connection.data_received(numbered(size))
    connection.connection_lost(None)
    *messages, end = await received(connection)
    assert [int.from_bytes(data[:2], "big") for _, data in messages] == list(range(size))
    assert end[0] is WSMsgType.CLOSED
    assert lost == [connection]


@in_virtual_time
async def test_a_close_behind_a_burst_is_read_after_it_and_answered(loop: VirtualLoop) -> None:
    connection, pipe, lost = upgraded()
    connection.data_received(numbered(FRAMES) + masked(8, (4000).to_bytes(2, "big")))
    messages = await received(connection)
    assert len(messages) == FRAMES + 1
    assert messages[-1] == (WSMsgType.CLOSE, 4000)
    assert pipe.written == websocket.close(1000)
    assert (pipe.closing, pipe.aborted, connection.closed, lost) == (True, False, True, [])
    assert (await connection.receive()).type is WSMsgType.CLOSED
    assert not await connection.close(code=1000, message=b"")


@in_virtual_time
async def test_our_close_waits_for_the_peer_s_and_says_nothing_twice(loop: VirtualLoop) -> None:
    connection, pipe, _ = upgraded()
    closing = asyncio.create_task(connection.close(code=1001, message=b"bye"))
    await asyncio.sleep(0.1)
    connection.data_received(numbered(3))
    await asyncio.sleep(0.1)
    assert (closing.done(), pipe.closing) == (False, False)
    connection.data_received(masked(8, (1001).to_bytes(2, "big")))
    assert await closing
    assert pipe.written == websocket.close(1001, b"bye")
    assert pipe.closing


@in_virtual_time
async def test_a_break_while_we_close_is_the_end_as_well(loop: VirtualLoop) -> None:
    connection, _, _ = upgraded()
    closing = asyncio.create_task(connection.close(code=1000, message=b""))
    await asyncio.sleep(0.1)
    connection.connection_lost(None)
    assert await closing
    connection.write(b"to nobody")


class Nobody:
    """Reads no message."""

    messages = 0


@in_virtual_time
async def test_more_than_can_wait_is_a_flood_and_none_of_it_is_read(loop: VirtualLoop) -> None:
    connection, pipe, _ = upgraded()
    ends: list[End] = []
    connection.watch(Nobody(), ends.append)
    connection.data_received(bytes(300_000))
    connection.data_received(bytes(200_000))
    assert ends == []
    connection.data_received(bytes(50_000))
    assert [end.reason for end in ends] == [EndReason.FLOOD]
    assert pipe.aborted
    before = connection.received
    await asyncio.sleep(0.1)
    assert connection.received == before


@in_virtual_time
async def test_bytes_without_the_end_of_a_message_are_too_large_a_one(loop: VirtualLoop) -> None:
    connection, pipe, _ = upgraded(max_message_bytes=10_000)
    reader, ends = Nobody(), []
    connection.watch(reader, ends.append)
    piece, step = masked(2, bytes(100)), 2 * (10_000 + 4096)
    for n in range(3 * step // len(piece)):
        reader.messages = n
        connection.data_received(piece)
    assert ends == []
    for _ in range(2 * step // len(piece) + 2):
        connection.data_received(piece)
    assert [(end.reason, end.code) for end in ends][:1] == [(EndReason.OVERSIZE, 1006)]
    assert pipe.aborted
    ends.clear()
    connection.unwatch()
    for _ in range(3 * step // len(piece)):
        connection.data_received(piece)
    assert ends == []


# -- AudioSocket -----------------------------------------------------------------------------------


class Reception:
    """Lets everybody begin the one stream there is."""

    def __init__(self, session: Session) -> None:
        async def never(request: web.BaseRequest) -> web.StreamResponse:
            raise LookupError

        self.connections, self.session = Connections(never, ServerSettings, Metrics()), session

    def arrived(self, connection: AudioSocketConnection) -> None:
        pass

    def identified(self, connection: AudioSocketConnection, uuid: UUID) -> None:
        connection.begin(self.session)


def audiosocket(loop: VirtualLoop) -> tuple[AudioSocketConnection, Pipe, Session, Reception]:
    stage, pipe = VirtualStream(loop, WireSettings()), Pipe()
    wire = Wire(WireSettings(), carrier=Carrier.TCP)
    session = Session(Stream("id", "/", "peer"), wire, library_of(), stage.pacer, loop.time)
    reception = Reception(session)
    connection = AudioSocketConnection(9000, reception)
    connection.connection_made(pipe)
    return connection, pipe, session, reception


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
async def test_a_burst_before_the_end_is_heard_to_its_last_message(
    ends: Any, reason: str, loop: VirtualLoop
) -> None:
    connection, _, session, reception = audiosocket(loop)
    connection.data_received(UUID_MESSAGE + FRAMES * SILENCE)
    ends(connection)
    assert session.end is None
    await asyncio.sleep(0.1)
    assert session.receiver.received == FRAMES
    assert session.end is not None
    assert (session.end.reason, session.connected) == (reason, False)
    if reason != "peer-closed":
        assert len(reception.connections) == 0
        await connection.close(session.end)  # it is gone already
    connection.forget()


@in_virtual_time
async def test_a_hang_up_behind_a_burst_is_the_end(loop: VirtualLoop) -> None:
    connection, _, session, _ = audiosocket(loop)
    connection.data_received(UUID_MESSAGE + FRAMES * SILENCE + HANGUP)
    connection.connection_lost(None)
    await asyncio.sleep(0.1)
    assert session.receiver.received == FRAMES + 1
    assert session.end is not None
    assert session.end.reason == "peer-hung-up"
    connection.forget()


@in_virtual_time
async def test_much_at_once_is_kept_by_the_kernel_until_it_is_taken_in(loop: VirtualLoop) -> None:
    connection, pipe, session, _ = audiosocket(loop)
    wide = b"\x18\x1e\x00" + bytes(7680)
    connection.data_received(UUID_MESSAGE + 30 * wide)
    assert pipe.reading
    connection.data_received(wide)
    assert not pipe.reading
    await asyncio.sleep(0.1)
    assert pipe.reading
    assert session.receiver.received == 31
    connection.forget()


@in_virtual_time
async def test_who_sends_no_uuid_in_time_is_refused_and_gone(loop: VirtualLoop) -> None:
    connection, pipe, session, reception = audiosocket(loop)
    connection.data_received(UUID_MESSAGE[:10])
    assert list(reception.connections.pending) == [connection]
    await asyncio.sleep(ServerSettings().handshake_timeout + 0.1)
    assert pipe.written == HANGUP
    assert not reception.connections.pending
    assert list(reception.connections.leaving) == [connection]
    await asyncio.sleep(5.1)
    assert pipe.aborted
    connection.connection_lost(None)
    assert (len(reception.connections), len(reception.connections.leaving)) == (0, 0)
    assert session.end is None


@in_virtual_time
async def test_who_makes_room_is_told_so_once(loop: VirtualLoop) -> None:
    connection, pipe, _, reception = audiosocket(loop)
    connection.turn_away(RefusedError(RefusalReason.DESCRIPTORS, "full"))
    connection.turn_away(RefusedError(RefusalReason.DESCRIPTORS, "full"))
    assert (pipe.written, pipe.closing) == (HANGUP, True)
    counted = reception.connections.metrics.refused.labels("descriptors", 503)
    assert counted._value.get() == 1
    connection.connection_lost(None)
