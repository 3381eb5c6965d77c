"""Reads WebSockets to their end, and closes them, whether the peer or this server dialled."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import WebSocketError, WSMessage, WSMsgType

from mediaserver.config.listener_settings import FRAME_MESSAGE
from mediaserver.transport.closing import CloseCode, End, EndReason

# Bytes of outbound data that the kernel may hold until the peer takes them. Linux doubles the value, so that the
# kernel holds some two seconds of audio if the peer stalls.
SEND_BUFFER = 16 * 1024
CLOSE_TIMEOUT = 5.0  # seconds that the peer has to answer this server's close frame
_NO_LINGER = struct.pack("@ii", 1, 0)  # struct linger: close by a reset, and drop unsent data
_MESSAGES_PER_TURN = 32  # number of messages read before other tasks get their turn of the event loop


class WebSocket(Protocol):
    """What reading and closing need of a `WebSocketConnection`."""

    @property
    def closed(self) -> bool:
        """Whether a close frame was sent or received, or the connection is gone."""

    async def receive(self) -> WSMessage:
        """Wait for the peer's next message, and return it."""

    async def pong(self, message: bytes) -> None:
        """Answer a ping whose payload is `message`."""

    async def close(self, *, code: int, message: bytes) -> bool:
        """Send a close frame, and wait for the peer's close frame."""


def bound_send_buffer(transport: asyncio.BaseTransport) -> None:
    """Limit the unsent bytes that the kernel holds, so that asyncio's buffer fills visibly if the peer stalls."""
    connection: Any = transport.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):  # the connection may be gone already
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)


class MessageReader:
    """Reads a WebSocket to its end, and answers pings. While nothing is read, the peer cannot go on sending.

    More than `max_rate` messages in a second are a flood, which ends the reading. More bytes in a second than
    `max_rate` messages of one frame each are a flood as well. `messages` counts all messages read so far.
    """

    __slots__ = ("_max_rate", "_on_binary", "_on_pong", "_on_text", "_websocket", "messages")

    def __init__(
        self,
        websocket: WebSocket,
        on_binary: Callable[[bytes], None],
        max_rate: int,
        on_text: Callable[[str], None],
        on_pong: Callable[[bytes], None] = lambda data: None,
    ) -> None:
        self._websocket, self._on_binary, self._on_text, self._on_pong = websocket, on_binary, on_text, on_pong
        self._max_rate = max_rate
        self.messages = 0

    async def read(self) -> End:
        """Read until the stream ends, and return why: the peer's close, a break, a protocol error or a flood."""
        clock, websocket, max_rate = asyncio.get_running_loop().time, self._websocket, self._max_rate
        second, count, size, max_size = clock(), 0, 0, max_rate * FRAME_MESSAGE
        while True:
            message = await websocket.receive()
            self.messages += 1
            count += 1
            if count % _MESSAGES_PER_TURN == 0:
                # Let other tasks run, because `receive` does not pause while messages are queued.
                await asyncio.sleep(0)
            if count % _MESSAGES_PER_TURN == 0 or size > max_size:
                if clock() - second >= 1:
                    second, count, size = clock(), 0, 0
                elif count > max_rate or size > max_size:
                    return End(EndReason.FLOOD, CloseCode.ABNORMAL)
            match message.type:
                case WSMsgType.BINARY:
                    size += len(message.data)
                    self._on_binary(message.data)
                case WSMsgType.TEXT:
                    self._on_text(message.data)
                case _:
                    if (end := await handle_control(websocket, message, self._on_pong)) is not None:
                        return end


async def handle_control(websocket: WebSocket, message: WSMessage, on_pong: Callable[[bytes], None]) -> End | None:
    """Answer a ping, or pass the payload of a pong to `on_pong`; return the stream's end for any other message."""
    match message.type:
        case WSMsgType.PING:
            with contextlib.suppress(ConnectionError):  # the connection broke; received messages are still read
                await websocket.pong(message.data)
        case WSMsgType.PONG:
            on_pong(message.data)
        case _:
            return _end_of(message)
    return None


def _end_of(message: WSMessage) -> End:
    """The end of a stream whose peer's latest message is a close, an error, or the loss of the connection."""
    match message.type:
        case WSMsgType.CLOSE:
            return End(EndReason.PEER_CLOSED, int(message.data or CloseCode.NO_STATUS))
        case WSMsgType.ERROR if isinstance(message.data, WebSocketError):
            oversize = message.data.code == CloseCode.TOO_BIG
            return End(EndReason.OVERSIZE if oversize else EndReason.PROTOCOL_ERROR, int(message.data.code))
    return End(EndReason.PEER_VANISHED, CloseCode.ABNORMAL)


async def close(websocket: WebSocket, transport: asyncio.Transport, end: End) -> None:
    """Close a WebSocket with the code and text of `end`.

    The connection is reset if the peer does not answer within `CLOSE_TIMEOUT`, if data still waits to be sent
    after that, or if `end` has the code ABNORMAL.
    """
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):  # aiohttp's own time-out restarts with each message
            if not websocket.closed and end.code not in (CloseCode.ABNORMAL, CloseCode.NO_STATUS):
                await websocket.close(code=end.code, message=end.message)
    except TimeoutError:
        abort(transport)
    if end.code == CloseCode.ABNORMAL or transport.get_write_buffer_size():
        abort(transport)  # without a reset, a peer that reads nothing would keep the connection open for ever


def abort(transport: asyncio.Transport) -> None:
    """Reset a connection at once. By default the kernel would offer unsent data to the peer for minutes."""
    connection: Any = transport.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError, ValueError):  # the connection may be gone already
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
