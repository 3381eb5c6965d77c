"""One WebSocket of a stream, whoever dialled: read to its end, and closed for good."""

import asyncio
import contextlib
import socket
import struct
from collections.abc import Callable
from typing import Any, Protocol

from aiohttp import WebSocketError, WSMessage, WSMsgType

from mediaserver.config.listener_settings import FRAME_MESSAGE
from mediaserver.transport.closing import CloseCode, End, EndReason

# Bytes the kernel may hold for a peer: doubled by Linux, some two seconds of a stalled stream's audio.
SEND_BUFFER = 16 * 1024
CLOSE_TIMEOUT = 5.0  # seconds for the peer to answer our close
_NO_LINGER = struct.pack("@ii", 1, 0)  # struct linger: a reset, and nothing is kept
_TURN = 32  # messages read before others have their turn


class WebSocket(Protocol):
    """What our own WebSocket of those who dial us and aiohttp's of those whom we dial have in common."""

    @property
    def closed(self) -> bool:
        """Whether it is, or is being closed."""

    async def receive(self) -> WSMessage:
        """The next message."""

    async def pong(self, message: bytes) -> None:
        """Answer a ping."""

    async def close(self, *, code: int, message: bytes) -> bool:
        """Say goodbye."""


def bound_send_buffer(transport: asyncio.BaseTransport) -> None:
    """Bound what the kernel holds for a peer that reads nothing, so that a stall shows."""
    connection: Any = transport.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):  # it may be gone already
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)


class Reader:
    """Reads a WebSocket to its end, for a peer whose writes are not read locks up.

    More than `max_rate` messages a second, or the bytes of so many frames, are a flood.
    """

    __slots__ = ("_max_rate", "_ponged", "_receive", "_texted", "_websocket", "messages", "pongs")

    def __init__(
        self,
        websocket: WebSocket,
        receive: Callable[[bytes], None],
        max_rate: int,
        texted: Callable[[str], None],
        ponged: Callable[[bytes], None] = lambda data: None,
    ) -> None:
        self._websocket, self._receive, self._texted, self._ponged = websocket, receive, texted, ponged
        self._max_rate = max_rate
        self.messages = self.pongs = 0

    async def read(self) -> End:
        """Read to the end; how the peer ended it, if it did."""
        clock, websocket, max_rate = asyncio.get_running_loop().time, self._websocket, self._max_rate
        second, count, size, most = clock(), 0, 0, max_rate * FRAME_MESSAGE
        while True:
            message = await websocket.receive()
            self.messages += 1
            count += 1
            if count % _TURN == 0:
                await asyncio.sleep(0)  # what is queued already would be read without a pause
            if count % _TURN == 0 or size > most:
                if clock() - second >= 1:
                    second, count, size = clock(), 0, 0
                elif count > max_rate or size > most:
                    return End(EndReason.FLOOD, CloseCode.ABNORMAL)
            match message.type:
                case WSMsgType.BINARY:
                    size += len(message.data)
                    self._receive(message.data)
                case WSMsgType.TEXT:
                    self._texted(message.data)
                case _:
                    if message.type is WSMsgType.PONG:
                        self.pongs += 1
                    if (end := await handle_control(websocket, message, self._ponged)) is not None:
                        return end


async def handle_control(websocket: WebSocket, message: WSMessage, on_pong: Callable[[bytes], None]) -> End | None:
    """Answer a ping, or pass the payload of a pong to `on_pong`; how any other control message ends the stream."""
    match message.type:
        case WSMsgType.PING:
            with contextlib.suppress(ConnectionError):  # messages sent before the break are still to be read
                await websocket.pong(message.data)
        case WSMsgType.PONG:
            on_pong(message.data)
        case _:
            return _end(message)
    return None


def _end(message: WSMessage) -> End:
    """How a message that is no other ends a stream."""
    match message.type:
        case WSMsgType.CLOSE:
            return End(EndReason.PEER_CLOSED, int(message.data or CloseCode.NO_STATUS))
        case WSMsgType.ERROR if isinstance(message.data, WebSocketError):
            oversize = message.data.code == CloseCode.TOO_BIG
            return End(EndReason.OVERSIZE if oversize else EndReason.PROTOCOL_ERROR, int(message.data.code))
    return End(EndReason.PEER_VANISHED, CloseCode.ABNORMAL)


async def close(websocket: WebSocket, transport: asyncio.Transport, end: End) -> None:
    """Close with what a stream ended with. Who takes nothing, or never stops, is left at once, or in the end."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):  # aiohttp's own is for each message that a peer goes on sending
            if not websocket.closed and end.code not in (CloseCode.ABNORMAL, CloseCode.NO_STATUS):
                await websocket.close(code=end.code, message=end.message)
    except TimeoutError:
        abort(transport)
    if end.code == CloseCode.ABNORMAL or transport.get_write_buffer_size():
        abort(transport)  # it would keep the connection open for ever


def abort(transport: asyncio.Transport) -> None:
    """Leave at once, and have the kernel do so: it would offer what the peer has not taken for minutes on end."""
    connection: Any = transport.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError, ValueError):  # it may be gone already
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    transport.abort()
