"""A connection after its handshake: one stream's WebSocket, and nothing of the HTTP that led to it.

aiohttp reads the frames. What it does not bound is bounded here, in bytes, before it has them. Little is kept:
there are thousands.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Protocol, cast

from aiohttp import EofStream, WebSocketError, WSMessage, WSMsgType
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http_websocket import WebSocketReader

from mediaserver.transport.closing import CloseCode, End, EndReason
from mediaserver.transport.connection import abort
from mediaserver.wire import websocket

_SLICE = 4096  # bytes: some hundred of the tiniest frames, a millisecond's work
_MOST = 512 * 1024  # bytes that may wait for being read
_QUEUE = 32 * 1024  # half the bytes of messages read and not taken above which no more are read
_CLOSED = WSMessage(WSMsgType.CLOSED, None, None)


class Messages(Protocol):
    """What takes the messages."""

    messages: int  # taken so far


def _ignore(end: End) -> None:
    """Is told how a stream ended where nobody else is."""


class _Flow:
    """What aiohttp's queue holds up when messages are not taken: not the stream, which would refer to itself."""

    __slots__ = ("_reading_paused", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._reading_paused = False

    def pause_reading(self) -> None:
        self._reading_paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._reading_paused = False
        self._transport.resume_reading()


class Upgraded(asyncio.Protocol):
    """The connection of one stream: a transport's protocol, and a WebSocket to receive from and to close."""

    __slots__ = (
        "_counted",
        "_finish",
        "_look_at",
        "_loop",
        "_lost",
        "_parser",
        "_queue",
        "_rest",
        "_seen",
        "_step",
        "closed",
        "received",
        "transport",
    )

    def __init__(
        self, transport: asyncio.Transport, max_message_bytes: int, lost: Callable[["Upgraded"], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = transport
        self.closed = False  # or about to be, with all said
        self.received = 0  # bytes of the stream
        self._queue = WebSocketDataQueue(cast("BaseProtocol", _Flow(transport)), _QUEUE, loop=self._loop)
        self._parser: WebSocketReader | None = WebSocketReader(
            self._queue, max_message_bytes, compress=False, decode_text=True
        )
        self._rest = bytearray()  # not read yet
        self._lost = lost
        self._counted: Messages | None = None
        self._finish: Callable[[End], None] = _ignore
        self._step = 2 * (max_message_bytes + _SLICE)  # in so many bytes there is the end of a message
        self._look_at, self._seen = math.inf, 0
        transport.set_protocol(self)

    # -- bytes in ------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer.

        Much at once, such as a flood of tiny frames, is read in slices: other streams have their turns between.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) > _MOST:
                self._drop(EndReason.FLOOD)
        elif len(data) > _SLICE:
            self._rest += data
            self._read_slice()
        else:
            self._read(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is gone; what the peer said before is still to be read."""
        self.transport = None
        if not self._rest:
            self._end()

    def _read_slice(self) -> None:
        if not self._rest:  # dropped
            return
        part = bytes(self._rest[:_SLICE])
        del self._rest[:_SLICE]
        self._read(part)
        if self._rest:
            self._loop.call_soon(self._read_slice)
        elif self.transport is None:
            self._end()

    def _read(self, data: bytes) -> None:
        self.received += len(data)
        if self.received >= self._look_at:
            self._look()
        if self._parser is not None:
            self._parser.feed_data(data)

    def _end(self) -> None:
        self._queue.feed_eof()
        self._lost(self)

    # -- what a peer may send ------------------------------------------------------------------------------------

    def watch(self, reader: Messages, finish: Callable[[End], None]) -> None:
        """End the stream of a peer that sends without an end: fragments of no message, or more than can be read.

        How many messages it may send is the reader's to count; that one sees whole ones only.
        """
        self._counted, self._finish, self._look_at = reader, finish, self.received + self._step

    def unwatch(self) -> None:
        """The stream is over: nobody counts its messages any more."""
        self._counted, self._finish, self._look_at = None, _ignore, math.inf

    def forget(self) -> None:
        """Nobody reads any more. A parser that met an error would refer to itself by way of its traceback."""
        self.unwatch()
        self._parser = None

    def _look(self) -> None:
        self._look_at = self.received + self._step
        messages = self._counted.messages if self._counted is not None else 0
        if messages == self._seen:
            self._drop(EndReason.OVERSIZE)
        self._seen = messages

    def _drop(self, reason: EndReason) -> None:
        self._rest.clear()
        self._finish(End(reason, CloseCode.ABNORMAL))
        if self.transport is not None:
            abort(self.transport)

    # -- the WebSocket -------------------------------------------------------------------------------------------

    async def receive(self) -> WSMessage:
        """The next message; of type CLOSED where there is none, ERROR where the peer broke the protocol."""
        if self.closed:
            return _CLOSED
        try:
            message = cast("WSMessage", await self._queue.read())
        except EofStream:
            return _CLOSED
        except WebSocketError as error:
            return WSMessage(WSMsgType.ERROR, _alone(error), None)
        if message.type is WSMsgType.CLOSE:
            self.closed = True
            self.write(websocket.close(CloseCode.NORMAL))
            self._hang_up()
        return message

    async def pong(self, message: bytes) -> None:
        """Answer a ping."""
        self.write(websocket.pong(message))

    def write_text(self, text: str) -> None:
        """Say a text."""
        self.write(websocket.text(text))

    async def close(self, *, code: int, message: bytes) -> bool:
        """Say goodbye, and wait for the peer to do so as well; False where all was said before."""
        if self.closed:
            return False
        self.closed = True
        self.write(websocket.close(code, message))
        try:
            while (await self._queue.read()).type is not WSMsgType.CLOSE:
                pass
        except EofStream:
            pass
        except WebSocketError as error:
            _alone(error)
        self._hang_up()
        return True

    def write(self, frame: bytes) -> None:
        """Send a whole WebSocket frame, where there is somebody to send it to."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(frame)

    def _hang_up(self) -> None:
        if self.transport is not None:
            self.transport.close()


def _alone(error: WebSocketError) -> WebSocketError:
    """An error that the queue keeps, without its traceback: that leads to the queue, and to all of the stream."""
    return error.with_traceback(None)
