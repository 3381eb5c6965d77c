"""One side of a WebSocket, from the end of its HTTP handshake on, whether the peer or this server has dialled.

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
from mediaserver.transport.masking import mask_with_random_key
from mediaserver.transport.message_parser import MessageCounter, MessageParser
from mediaserver.transport.unread import read_unread
from mediaserver.wire import websocket

_COUNTED = (WSMsgType.BINARY, WSMsgType.TEXT, WSMsgType.PING, WSMsgType.PONG)
_CLOSED, _CLOSING = (WSMessage(kind, None, None) for kind in (WSMsgType.CLOSED, WSMsgType.CLOSING))


def _ignore(*args: object) -> None:
    """Do nothing. Stands in for a function that was not given."""


class WebSocketConnection(asyncio.Protocol):
    """The WebSocket of one stream, and the asyncio protocol of its transport: it receives, writes and closes.

    `on_lost` is called when the connection is lost and all bytes received before are parsed. The peer's frames are
    masked, and this side's are not, unless `is_client` says that this side has dialled (RFC 6455, section 5.1).
    `run_overdue` sends overdue frames of all streams. Each event calls it first: many may come in one moment.
    """

    __slots__ = (
        "_frames",
        "_interrupted",
        "_is_client",
        "_max_message_bytes",
        "_on_data",
        "_on_lost",
        "_parser",
        "_ping_payload",
        "_pong_bytes",
        "_pong_due",
        "_processing",
        "_receiving",
        "_run_overdue",
        "close_code",
        "closed",
        "pongs",
        "transport",
    )

    def __init__(
        self,
        transport: asyncio.Transport,
        max_message_bytes: int,
        on_lost: Callable[["WebSocketConnection"], None] = _ignore,
        *,
        is_client: bool = False,
        run_overdue: Callable[[], None] = _ignore,
    ) -> None:
        self.transport, self._is_client = transport, is_client
        # Whether a close frame was sent or received, so that nothing more is sent, or the connection is lost.
        self.closed = False
        self.close_code: int | None = None  # the code of the peer's close frame, or ABNORMAL if none has come
        self.pongs = 0  # number of pings that were answered
        self._ping_payload, self._pong_due = b"", False  # of the latest ping; whether it is not answered yet
        self._pong_bytes = 0  # number of bytes of pongs that were counted without the parser
        self._parser: MessageParser | None = None  # None until there is something to parse
        self._processing = 0  # number of bytes of the message that is being processed
        self._receiving = False  # whether a task waits for a message
        self._interrupted: asyncio.Future[None] | None = None  # done once that task waits no more, as we close
        self._frames: FrameReader[Any] | None = None
        self._max_message_bytes = max_message_bytes
        self._on_data: Callable[[], None] = _ignore
        self._on_lost, self._run_overdue = on_lost, run_overdue
        transport.set_protocol(self)

    # -- bytes that the peer sends -------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Parse bytes from the peer. Whole frames are left to the poller from now on."""
        self._run_overdue()
        parser = self._parser
        if parser is not None and not parser.is_idle:
            parser.feed(data)
            return
        if self._pong_due and self._take_pong(data):
            return
        if parser is None:
            self._begin_parsing()
        if self._frames is None or not self._frames.offer(data):
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        """Parse bytes that begin with a frame. A server must not mask its frames (RFC 6455, section 5.1)."""
        parser = self._open_parser()
        if self._is_client and len(data) > 1 and websocket.is_masked(data):
            self.stop_polling()
            parser.fail("the server masks its frames")
        parser.feed(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Note that the connection is lost. Bytes that the peer sent before are still parsed and received."""
        self._run_overdue()
        parser = self._parser or self._begin_parsing()
        self.stop_polling()
        if unread := read_unread(self.transport, exc):
            parser.feed(unread)
        parser.feed_eof(partial(self._on_lost, self))

    def _take_pong(self, data: bytes) -> bool:
        """If `data` is the whole pong that answers the latest ping, count it without the parser.

        Otherwise every peer would cost a parser after its first pong, and each pong would interrupt the polls.
        Only one pong for each ping is counted so. A peer that sends more is read, and limited, as any other.
        """
        if not (self._pong_due and websocket.is_pong(data, self._ping_payload, masked=not self._is_client)):
            return False
        self.on_pong(self._ping_payload)
        self._pong_bytes += len(data)
        return True

    def _begin_parsing(self) -> MessageParser:
        """Make the parser, because the peer sends something, or is gone, and have the messages received."""
        parser = self._open_parser()
        self._on_data()
        return parser

    def _open_parser(self) -> MessageParser:
        if self._parser is None:
            self._parser = MessageParser(self.transport, self._max_message_bytes, sliced=not self._is_client)
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
        """From now on, let `poller` read whole frames of `frame_size()` bytes, and pongs, for `sink`."""
        self._frames = FrameReader(
            poller, self.transport, sink, frame_size, self._parse, self._take_pong, masked=not self._is_client
        )

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
        self._on_data = _ignore
        if self._parser is not None:
            self._parser.lift_limits()

    def release(self) -> None:
        """Stop parsing, because the connection is closed or closing."""
        self.stop_polling()
        self._on_data = _ignore
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
        self._receiving = True
        try:
            message = cast("WSMessage", await parser.queue.read())
        except EofStream:
            self.closed, self.close_code = True, self.close_code or CloseCode.ABNORMAL
            return _CLOSED
        except WebSocketError as error:
            return WSMessage(WSMsgType.ERROR, _without_traceback(error), None)
        finally:
            self._receiving = False
            if self._interrupted is not None and not self._interrupted.done():
                self._interrupted.set_result(None)
        if self._frames is not None and message.type in _COUNTED:
            self._processing = websocket.message_size(_payload_bytes(message), masked=not self._is_client)
        if message.type is WSMsgType.CLOSE:
            self._on_close(message)
        return message

    def _on_close(self, message: WSMessage) -> None:
        """Answer the peer's close frame, unless it is an answer itself, and close the connection."""
        self.close_code = int(message.data or CloseCode.NO_STATUS)
        if not self.closed:
            self.closed = True
            self.write(websocket.close(CloseCode.NORMAL))
        self._close_transport()

    def ping(self, payload: bytes = b"") -> None:
        """Send a ping. If `payload` is not empty, only a pong with this payload answers it."""
        self._ping_payload, self._pong_due = payload, True
        self.write(websocket.ping(payload))

    def on_pong(self, payload: bytes) -> None:
        """Count a pong that was received, if it answers the latest ping."""
        if not self._ping_payload or payload == self._ping_payload:
            self._pong_due = False
            self.pongs += 1

    async def pong(self, message: bytes) -> None:
        """Answer a ping whose payload is `message`."""
        self.write(websocket.pong(message))

    def write_text(self, text: str) -> None:
        """Send a text message."""
        self.write(websocket.text(text))

    async def close(self, *, code: int = CloseCode.NORMAL, message: bytes = b"") -> bool:
        """Send a close frame, and wait for the peer's; False if a close frame was sent or received before.

        A task that waits for a message receives one of the type CLOSING.
        """
        if self.closed:
            return False
        self.closed, self.close_code = True, CloseCode.ABNORMAL
        self.stop_polling()
        self.write(websocket.close(code, message))
        parser = self._open_parser()
        if self._receiving:  # the queue has no place for two tasks
            self._interrupted = asyncio.get_running_loop().create_future()
            parser.queue.feed_data(_CLOSING, 0)
            await self._interrupted
        try:
            while self.close_code == CloseCode.ABNORMAL:
                received = cast("WSMessage", await parser.queue.read())
                if received.type is WSMsgType.CLOSE:
                    self._on_close(received)
        except EofStream:
            pass
        except WebSocketError as error:
            _without_traceback(error)
        self._close_transport()
        return True

    def fail(self, code: int) -> None:
        """Close the connection at once by a close frame with `code`, because the peer has broken the protocol."""
        if not self.closed:
            self.closed, self.close_code = True, code
            self.write(websocket.close(code))
            self._close_transport()

    def write(self, frame: bytes) -> None:
        """Send a whole unmasked WebSocket frame, masked if need be, unless the connection is gone or closing."""
        if not self.transport.is_closing():
            self.transport.write(mask_with_random_key(frame) if self._is_client else frame)

    def _close_transport(self) -> None:
        self.stop_polling()
        self.transport.close()


def _payload_bytes(message: WSMessage) -> int:
    data = message.data
    return len(data.encode() if isinstance(data, str) else data)


def _without_traceback(error: WebSocketError) -> WebSocketError:
    """Drop an error's traceback, which refers to the queue. The queue keeps the error: a reference cycle."""
    return error.with_traceback(None)
