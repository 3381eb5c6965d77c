"""The server's side of one WebSocket, from the end of its HTTP handshake on.

A server has thousands of these connections, so each keeps little in memory, and nothing of the handshake. Many
peers only listen. For them, not even a parser is made.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, cast

from aiohttp import EofStream, WebSocketError, WSMessage, WSMsgType

from mediaserver.transport.closing import CloseCode, End
from mediaserver.transport.frame_poller import FramePoller, FrameReader, Sink
from mediaserver.transport.message_parser import MessageCounter, MessageParser
from mediaserver.wire import websocket

_COUNTED = (WSMsgType.BINARY, WSMsgType.TEXT, WSMsgType.PING, WSMsgType.PONG)
_CLOSED = WSMessage(WSMsgType.CLOSED, None, None)


def _do_nothing() -> None:
    """Do nothing. Stands in for a function that begins to receive, or that sends overdue frames."""


class ServerWebSocket(asyncio.Protocol):
    """The WebSocket of one stream, and the asyncio protocol of its transport: it receives, writes and closes.

    `transport` is None once the connection is lost. `on_lost` is called when all bytes received before are parsed.
    `run_overdue` sends the overdue frames of all streams. It is called whenever the connection receives something
    or is lost, because that may happen to many connections in one turn of the event loop.
    """

    __slots__ = (
        "_frames",
        "_max_message_bytes",
        "_on_data",
        "_on_lost",
        "_parser",
        "_pong_bytes",
        "_pong_due",
        "_processing",
        "_run_overdue",
        "closed",
        "pongs",
        "transport",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        max_message_bytes: int,
        on_lost: Callable[["ServerWebSocket"], None],
        run_overdue: Callable[[], None] = _do_nothing,
    ) -> None:
        self.transport: asyncio.Transport | None = transport
        self.closed = False  # whether a close frame was sent or received, so that nothing more is sent
        self.pongs = 0  # number of pongs received so far
        self._pong_due = False  # whether a ping was sent since the last pong
        self._pong_bytes = 0  # number of bytes of pongs that were counted without the parser
        self._parser: MessageParser | None = None  # None until there is something to parse
        self._processing = 0  # number of bytes of the message that is being processed
        self._frames: FrameReader[Any] | None = None
        self._max_message_bytes = max_message_bytes
        self._on_data: Callable[[], None] = _do_nothing
        self._on_lost, self._run_overdue = on_lost, run_overdue
        transport.set_protocol(self)

    # -- bytes that the peer sends -------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse bytes from the peer. Whole frames are left to the poller from now on."""
        self._run_overdue()
        parser, frames = self._parser, self._frames
        if parser is None:
            if self._pong_due and websocket.is_pong(data):
                self._count_pong(len(data))
                return
            parser = self._begin_parsing()
        is_idle = parser.received == parser.accounted and not parser.unparsed
        if frames is not None and is_idle and frames.begin(data):
            return
        parser.feed(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Note that the connection is lost. Bytes that the peer sent before are still parsed and received."""
        self._run_overdue()
        parser = self._parser or self._begin_parsing()
        self.transport = None
        unread = self._frames.drain() if self._frames is not None else b""
        self.stop_polling()
        if unread:
            parser.feed(unread)
        parser.feed_eof(partial(self._on_lost, self))

    def _count_pong(self, size: int) -> None:
        """Count the answer to a ping without a parser: otherwise, every peer would cost one after its first pong.

        Only one pong for each ping is counted so. A peer that sends more is read, and limited, as any other.
        """
        self._pong_due = False
        self.pongs += 1
        self._pong_bytes += size

    def _begin_parsing(self) -> MessageParser:
        """Make the parser, because the peer sends something, or is gone, and have the messages received."""
        parser = self._open_parser()
        self._on_data()
        return parser

    def _open_parser(self) -> MessageParser:
        if self._parser is None:
            assert self.transport is not None  # noqa: S101 - a connection that is lost has a parser
            self._parser = MessageParser(self.transport, self._max_message_bytes)
        return self._parser

    def on_data(self, begin: Callable[[], None]) -> None:
        """Call `begin` as soon as there may be something to receive: when the peer sends something, or is gone.

        `begin` is called once. A pong that answers a ping is not received.
        """
        if self._parser is not None:
            begin()
        else:
            self._on_data = begin

    def poll_frames(self, poller: FramePoller[Sink], sink: Sink, frame_size: Callable[[], int]) -> None:
        """From now on, let `poller` read whole frames of `frame_size()` bytes and pass them to `sink`.

        These frames bypass the parser.
        """
        if self.transport is not None:
            receive = self._open_parser().feed
            self._frames = FrameReader(poller, self.transport, sink, frame_size, receive)

    def stop_polling(self) -> None:
        """Have the event loop and the parser read all that comes from now on."""
        if self._frames is not None:
            frames, self._frames = self._frames, None
            frames.stop()

    @property
    def received(self) -> int:
        """The number of bytes parsed since the handshake."""
        return self._pong_bytes + (self._parser.received if self._parser is not None else 0)

    @property
    def activity(self) -> int:
        """A number that grows with everything that comes from the peer."""
        return self.received + (self._frames.sink.received if self._frames is not None else 0)

    def enforce_limits(self, counter: MessageCounter, finish: Callable[[End], None]) -> None:
        """From now on, end the stream if its peer sends a message that never ends, or a flood of bytes.

        `finish` is then called with the reason. The rate of whole messages is limited by `MessageReader`.
        """
        self._open_parser().enforce_limits(counter, finish)

    def lift_limits(self) -> None:
        """Stop enforcing limits, because the stream is over and its messages are no longer counted."""
        self._on_data = _do_nothing
        if self._parser is not None:
            self._parser.lift_limits()

    def release(self) -> None:
        """Stop parsing, because the connection is closed or closing."""
        self.stop_polling()
        self._on_data = _do_nothing
        self._open_parser().stop()

    # -- messages, and closing the WebSocket ---------------------------------------------------------------------

    async def receive(self) -> WSMessage:
        """Wait for the peer's next message, and return it.

        The message's type is CLOSED if the connection is gone or closed, and ERROR if the peer broke the protocol.
        """
        parser = self._parser or self._open_parser()
        parser.accounted += self._processing  # a caller of `receive` has processed the previous message
        self._processing = 0
        if parser.accounted > parser.received:  # sizes are miscounted, as the peer does not mask its messages
            self.stop_polling()
        if self.closed:
            return _CLOSED
        try:
            message = cast("WSMessage", await parser.queue.read())
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

    def ping(self) -> None:
        """Send a ping."""
        self._pong_due = True
        self.write(websocket.PING)

    def on_pong(self, payload: bytes) -> None:
        """Count a pong that was received."""
        self.pongs += 1

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
        parser = self._open_parser()
        try:
            while (await parser.queue.read()).type is not WSMsgType.CLOSE:
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
