"""The server's side of one WebSocket, from the end of its HTTP handshake on.

aiohttp parses the WebSocket frames. This module limits how many bytes may wait to be parsed, and how many bytes
may come before a message ends. A server has thousands of these connections, so each keeps little in memory, and
nothing of the handshake.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Any, Protocol, cast

from aiohttp import EofStream, WebSocketError, WSMessage, WSMsgType

from mediaserver.support.aiohttp_adapter import WebSocketReader, make_websocket_reader
from mediaserver.transport.closing import CloseCode, End, EndReason
from mediaserver.transport.connection import abort
from mediaserver.transport.frame_poller import FramePoller, FrameReader, Sink
from mediaserver.wire import websocket

_SLICE_BYTES = 4096  # bytes parsed at a time: at most some 700 tiny frames, which take about a millisecond
_MAX_UNPARSED_BYTES = 512 * 1024  # the most bytes that may wait to be parsed; more are a flood, and end the stream
# aiohttp stops reading from the peer if waiting messages hold more than twice this number of bytes.
_QUEUE_BYTES = 32 * 1024
_COUNTED = (WSMsgType.BINARY, WSMsgType.TEXT, WSMsgType.PING, WSMsgType.PONG)
_CLOSED = WSMessage(WSMsgType.CLOSED, None, None)


class MessageCounter(Protocol):
    """Receives the messages of a WebSocket, and counts them."""

    messages: int  # number of messages received so far


def _ignore_end(end: End) -> None:
    """Do nothing. Stands in for a session's `finish` while no limits are enforced."""


class ServerWebSocket(asyncio.Protocol):
    """The WebSocket of one stream, and the asyncio protocol of its transport: it receives, writes and closes.

    `transport` is None once the connection is lost. `on_lost` is called when all bytes received before are parsed.
    """

    __slots__ = (
        "_accounted",
        "_check_at",
        "_check_step",
        "_finish",
        "_frames",
        "_loop",
        "_message_counter",
        "_messages_at_check",
        "_on_lost",
        "_parser",
        "_processing",
        "_queue",
        "_unparsed",
        "closed",
        "received",
        "transport",
    )

    def __init__(
        self, transport: asyncio.Transport, max_message_bytes: int, on_lost: Callable[["ServerWebSocket"], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = transport
        self.closed = False  # whether a close frame was sent or received, so that nothing more is sent
        self.received = 0  # number of bytes parsed since the handshake
        # Number of bytes of all messages processed so far. It equals `received` if no message waits, and none is
        # incomplete.
        self._accounted = 0
        self._processing = 0  # number of bytes of the message that is being processed
        self._frames: FrameReader[Any] | None = None
        reader, self._queue = make_websocket_reader(transport, max_message_bytes, _QUEUE_BYTES)
        self._parser: WebSocketReader | None = reader
        self._unparsed = bytearray()
        self._on_lost = on_lost
        self._message_counter: MessageCounter | None = None
        self._finish: Callable[[End], None] = _ignore_end
        self._check_step = 2 * (max_message_bytes + _SLICE_BYTES)  # the most bytes before a message ends
        self._check_at, self._messages_at_check = math.inf, 0
        transport.set_protocol(self)

    # -- bytes that the peer sends -------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse bytes from the peer.

        Many bytes at once, such as a flood of tiny frames, are parsed in slices, so that other streams get their
        turns of the event loop in between.
        """
        frames = self._frames
        if frames is not None and self.received == self._accounted and not self._unparsed and frames.begin(data):
            return
        self._feed(data)

    def _feed(self, data: bytes) -> None:
        if self._unparsed:
            self._unparsed += data
            if len(self._unparsed) > _MAX_UNPARSED_BYTES:
                self._abort_stream(EndReason.FLOOD)
        elif len(data) > _SLICE_BYTES:
            self._unparsed += data
            self._parse_slice()
        else:
            self._parse(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Note that the connection is lost. Bytes that the peer sent before are still parsed and received."""
        self.transport = None
        unread = self._frames.drain() if self._frames is not None else b""
        self.stop_polling()
        if unread:
            self._feed(unread)
        if not self._unparsed:
            self._feed_eof()

    def _parse_slice(self) -> None:
        if not self._unparsed:  # `_abort_stream` has cleared the bytes meanwhile
            return
        part = bytes(self._unparsed[:_SLICE_BYTES])
        del self._unparsed[:_SLICE_BYTES]
        self._parse(part)
        if self._unparsed:
            self._loop.call_soon(self._parse_slice)
        elif self.transport is None:
            self._feed_eof()

    def _parse(self, data: bytes) -> None:
        self.received += len(data)
        if self.received >= self._check_at:
            self._check_progress()
        if self._parser is not None:
            self._parser.feed_data(data)

    def _feed_eof(self) -> None:
        self._queue.feed_eof()
        self._on_lost(self)

    def poll_frames(self, poller: FramePoller[Sink], sink: Sink, frame_size: Callable[[], int]) -> None:
        """From now on, let `poller` read whole frames of `frame_size()` bytes and pass them to `sink`.

        These frames bypass the parser.
        """
        if self.transport is not None:
            self._frames = FrameReader(poller, self.transport, sink, frame_size, self._feed)

    def stop_polling(self) -> None:
        """Have the event loop and the parser read all that comes from now on."""
        if self._frames is not None:
            frames, self._frames = self._frames, None
            frames.stop()

    @property
    def activity(self) -> int:
        """A number that grows with everything that comes from the peer."""
        return self.received + (self._frames.sink.received if self._frames is not None else 0)

    # -- limits on what the peer sends ---------------------------------------------------------------------------

    def enforce_limits(self, counter: MessageCounter, finish: Callable[[End], None]) -> None:
        """From now on, end the stream if its peer sends a message that never ends, or a flood of bytes.

        `finish` is then called with the reason. The rate of whole messages is limited by `MessageReader`.
        """
        self._message_counter, self._finish, self._check_at = counter, finish, self.received + self._check_step

    def lift_limits(self) -> None:
        """Stop enforcing limits, because the stream is over and its messages are no longer counted."""
        self._message_counter, self._finish, self._check_at = None, _ignore_end, math.inf

    def release(self) -> None:
        """Stop parsing, and drop the parser, which an error's traceback would keep in a reference cycle."""
        self.stop_polling()
        self.lift_limits()
        self._parser = None

    def _check_progress(self) -> None:
        """End the stream if no message has ended in the last `_check_step` bytes."""
        self._check_at = self.received + self._check_step
        messages = self._message_counter.messages if self._message_counter is not None else 0
        if messages == self._messages_at_check:
            self._abort_stream(EndReason.OVERSIZE)
        self._messages_at_check = messages

    def _abort_stream(self, reason: EndReason) -> None:
        self._unparsed.clear()
        self._finish(End(reason, CloseCode.ABNORMAL))
        if self.transport is not None:
            abort(self.transport)

    # -- messages, and closing the WebSocket ---------------------------------------------------------------------

    async def receive(self) -> WSMessage:
        """Wait for the peer's next message, and return it.

        The message's type is CLOSED if the connection is gone or closed, and ERROR if the peer broke the protocol.
        """
        self._accounted += self._processing  # a caller of `receive` has processed the previous message
        self._processing = 0
        if self._accounted > self.received:  # the peer does not mask its messages, so their sizes are miscounted
            self.stop_polling()
        if self.closed:
            return _CLOSED
        try:
            message = cast("WSMessage", await self._queue.read())
        except EofStream:
            return _CLOSED
        except WebSocketError as error:
            return WSMessage(WSMsgType.ERROR, _without_traceback(error), None)
        if self._frames is not None and message.type in _COUNTED:
            self._processing = websocket.masked_size(_payload_bytes(message))
        if message.type is WSMsgType.CLOSE:
            self.closed = True
            self.write(websocket.close(CloseCode.NORMAL))
            self._close_transport()
        return message

    async def pong(self, message: bytes) -> None:
        """Answer a ping whose payload is `message`."""
        self.write(websocket.pong(message))

    def write_text(self, text: str) -> None:
        """Send a text message."""
        self.write(websocket.text(text))

    async def close(self, *, code: int, message: bytes) -> bool:
        """Send a close frame, and wait for the peer's; False if a close frame was sent or received before."""
        if self.closed:
            return False
        self.closed = True
        self.stop_polling()
        self.write(websocket.close(code, message))
        try:
            while (await self._queue.read()).type is not WSMsgType.CLOSE:
                pass
        except EofStream:
            pass
        except WebSocketError as error:
            _without_traceback(error)
        self._close_transport()
        return True

    def write(self, frame: bytes) -> None:
        """Send a whole WebSocket frame, unless the connection is gone or closing."""
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(frame)

    def _close_transport(self) -> None:
        self.stop_polling()
        if self.transport is not None:
            self.transport.close()


def _payload_bytes(message: WSMessage) -> int:
    data = message.data
    return len(data.encode() if isinstance(data, str) else data)


def _without_traceback(error: WebSocketError) -> WebSocketError:
    """Drop an error's traceback, which refers to the queue. The queue keeps the error: a reference cycle."""
    return error.with_traceback(None)
