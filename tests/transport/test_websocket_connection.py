"""A WebSocket that breaks, closes or floods: what the peer sent before is still received, within the limits."""

import asyncio
from typing import Any

import pytest
from aiohttp import WSMsgType

from mediaserver.call import End, EndReason
from mediaserver.transport.websocket_connection import WebSocketConnection
from mediaserver.wire import websocket
from tests.transport.fake_transport import FakeTransport
from tests.virtual import VirtualLoop, in_virtual_time

FRAMES = 100  # eight slices


def masked(opcode: int, payload: bytes) -> bytes:
    """A frame as a client sends it, by a key of zeros (RFC 6455, section 5.2)."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + bytes(4) + payload


def numbered(count: int) -> bytes:
    return b"".join(masked(2, n.to_bytes(2, "big") * 160) for n in range(count))


def make_websocket(
    max_message_bytes: int = 65_536,
) -> tuple[WebSocketConnection, FakeTransport, list[WebSocketConnection]]:
    transport, lost = FakeTransport(), []
    return WebSocketConnection(transport, max_message_bytes, lost.append), transport, lost


async def receive_all(connection: WebSocketConnection) -> list[tuple[WSMsgType, Any]]:
    """All messages to the end."""
    found = []
    while not found or found[-1][0] not in (WSMsgType.CLOSED, WSMsgType.CLOSE):
        message = await connection.receive()
        found.append((message.type, message.data))
    return found


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


PONG = masked(10, b"")


@in_virtual_time
async def test_a_peer_that_only_answers_pings_needs_no_reader(loop: VirtualLoop) -> None:
    connection, transport, lost = make_websocket()
    begun: list[float] = []
    connection.on_data(lambda: begun.append(loop.time()))
    for n in range(1, 4):
        connection.ping()
        connection.data_received(PONG)
        assert (connection.pongs, connection.activity) == (n, n * len(PONG))
    assert transport.written == websocket.ping() * 3
    assert begun == []
    await asyncio.sleep(1)
    connection.connection_lost(None)
    assert (begun, lost) == ([1.0], [connection])
    assert (await connection.receive()).type is WSMsgType.CLOSED


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (PONG + PONG, [(WSMsgType.PONG, b""), (WSMsgType.PONG, b"")]),  # one was not asked for
        (masked(10, b"hello"), [(WSMsgType.PONG, b"hello")]),
        (masked(9, b""), [(WSMsgType.PING, b"")]),
        (masked(2, b""), [(WSMsgType.BINARY, b"")]),
        (PONG + masked(2, b"some"), [(WSMsgType.PONG, b""), (WSMsgType.BINARY, b"some")]),
    ],
)
@in_virtual_time
async def test_all_else_than_the_answer_to_a_ping_is_received(
    data: bytes, expected: list[tuple[WSMsgType, bytes]], loop: VirtualLoop
) -> None:
    connection, _, _ = make_websocket()
    begun: list[float] = []
    connection.on_data(lambda: begun.append(loop.time()))
    connection.ping()
    connection.data_received(data[:1])
    assert begun == [0.0]
    connection.data_received(data[1:])
    messages = [await connection.receive() for _ in expected]
    assert [(message.type, bytes(message.data)) for message in messages] == expected
    assert begun == [0.0]


@in_virtual_time
async def test_of_pongs_only_as_many_as_there_were_pings_are_not_received(loop: VirtualLoop) -> None:
    connection, _, _ = make_websocket()
    begun: list[float] = []
    connection.on_data(lambda: begun.append(loop.time()))
    connection.ping()
    connection.data_received(PONG)
    assert begun == []
    connection.data_received(PONG)
    assert begun == [0.0]
    assert (await connection.receive()).type is WSMsgType.PONG
    connection.ping()
    connection.data_received(PONG)
    assert (await connection.receive()).type is WSMsgType.PONG


@in_virtual_time
async def test_data_that_came_before_anybody_wanted_it_is_received(loop: VirtualLoop) -> None:
    connection, _, _ = make_websocket()
    connection.data_received(numbered(1))
    begun: list[float] = []
    connection.on_data(lambda: begun.append(loop.time()))
    assert begun == [0.0]
    assert (await connection.receive()).type is WSMsgType.BINARY


@in_virtual_time
async def test_a_connection_that_is_released_parses_nothing_and_begins_nothing(loop: VirtualLoop) -> None:
    connection, _, lost = make_websocket()
    connection.on_data(lambda: pytest.fail("nobody may begin to receive"))
    connection.release()
    connection.data_received(numbered(3))
    connection.connection_lost(None)
    assert lost == [connection]
    assert (await connection.receive()).type is WSMsgType.CLOSED
