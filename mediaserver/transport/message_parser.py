"""Parses what the peer of one WebSocket sends, within limits, and keeps the messages until they are received.

aiohttp parses the WebSocket frames. This module limits how many bytes may wait to be parsed, and how many bytes
may come before a message ends.
"""

import asyncio
import math
from collections.abc import Callable
from typing import Protocol

from aiohttp import WebSocketError

from mediaserver.support.aiohttp_adapter import WebSocketReader, make_websocket_reader
from mediaserver.transport.closing import CloseCode, End, EndReason
from mediaserver.transport.connection import abort

SLICE_BYTES = 4096  # bytes parsed at a time: at most some 700 tiny frames, which take about a millisecond
_MAX_UNPARSED_BYTES = 512 * 1024  # the most bytes that may wait to be parsed; more are a flood, and end the stream
# aiohttp stops reading from the peer if waiting messages hold more than twice this number of bytes. A server that
# was dialled may relay a call without pacing: a minute of audio has room.
_QUEUE_BYTES, _QUEUE_BYTES_OF_SERVER = 32 * 1024, 256 * 1024


class MessageCounter(Protocol):
    """Receives the messages of a WebSocket, and counts them."""

    messages: int  # number of messages received so far


def _ignore_end(end: End) -> None:
    """Do nothing. Stands in for a session's `finish` while no limits are enforced."""


def _ignore_eof() -> None:
    """Do nothing. Stands in for the function that is called at the end, while there is no end."""


class MessageParser:
    """The parser of one WebSocket, and the queue of its messages. It takes 1.5 KB of memory.

    With `sliced`, many bytes at once, such as a flood of tiny frames, are parsed in slices, so that other streams
    get their turns of the event loop in between, and too many are a flood. It is for peers that anybody may be.
    """

    __slots__ = (
        "_check_at",
        "_check_step",
        "_finish",
        "_loop",
        "_message_counter",
        "_messages_at_check",
        "_on_eof",
        "_parser",
        "_slice_bytes",
        "_transport",
        "accounted",
        "queue",
        "received",
        "unparsed",
    )

    def __init__(self, transport: asyncio.Transport, max_message_bytes: int, *, sliced: bool) -> None:
        self._loop, self._transport = asyncio.get_running_loop(), transport
        reader, self.queue = make_websocket_reader(
            transport, max_message_bytes, _QUEUE_BYTES if sliced else _QUEUE_BYTES_OF_SERVER
        )
        self._parser: WebSocketReader | None = reader
        self.received = 0  # number of bytes parsed so far
        # Number of bytes of all messages processed so far, which the receiver of messages counts. It equals
        # `received` if no message waits, and none is incomplete.
        self.accounted = 0
        self.unparsed = bytearray()
        self._slice_bytes = SLICE_BYTES if sliced else math.inf
        self._on_eof = _ignore_eof
        self._message_counter: MessageCounter | None = None
        self._finish: Callable[[End], None] = _ignore_end
        self._check_step = 2 * (max_message_bytes + SLICE_BYTES)  # the most bytes before a message ends
        self._check_at, self._messages_at_check = math.inf, 0

    def feed(self, data: bytes) -> None:
        """Parse bytes from the peer."""
        if self.unparsed:
            self.unparsed += data
            if len(self.unparsed) > _MAX_UNPARSED_BYTES:
                self._abort_stream(EndReason.FLOOD)
        elif len(data) > self._slice_bytes:
            self.unparsed += data
            self._parse_slice()
        else:
            self._parse(data)

    @property
    def is_idle(self) -> bool:
        """Whether all that has come is parsed and processed, and the next byte begins a frame."""
        return self.received == self.accounted and not self.unparsed

    def fail(self, why: str) -> None:
        """Parse nothing more, because the peer breaks the protocol. The receiver of messages gets the error."""
        self.queue.set_exception(WebSocketError(CloseCode.PROTOCOL_ERROR, why))
        self._parser = None

    def feed_eof(self, on_eof: Callable[[], None]) -> None:
        """Note that nothing more comes. `on_eof` is called when all bytes that came before are parsed."""
        self._on_eof = on_eof
        if not self.unparsed:
            self._end()

    def stop(self) -> None:
        """Stop parsing, and drop aiohttp's parser, which an error's traceback would keep in a reference cycle."""
        self.lift_limits()
        self._parser = None

    def _parse_slice(self) -> None:
        if not self.unparsed:  # `_abort_stream` has cleared the bytes meanwhile
            return
        part = bytes(self.unparsed[:SLICE_BYTES])
        del self.unparsed[:SLICE_BYTES]
        self._parse(part)
        if self.unparsed:
            self._loop.call_soon(self._parse_slice)
        elif self._on_eof is not _ignore_eof:
            self._end()

    def _parse(self, data: bytes) -> None:
        self.received += len(data)
        if self.received >= self._check_at:
            self._check_progress()
        if self._parser is not None:
            self._parser.feed_data(data)

    def _end(self) -> None:
        on_eof, self._on_eof = self._on_eof, _ignore_eof  # without a reference cycle with the WebSocket
        self.queue.feed_eof()
        on_eof()

    # -- limits on what the peer sends ---------------------------------------------------------------------------

    def enforce_limits(self, counter: MessageCounter, finish: Callable[[End], None]) -> None:
        """From now on, end the stream if its peer sends a message that never ends, or a flood of bytes.

        `finish` is then called with the reason. The rate of whole messages is limited by `MessageReader`.
        """
        self._message_counter, self._finish, self._check_at = counter, finish, self.received + self._check_step

    def lift_limits(self) -> None:
        """Stop enforcing limits, because the stream is over and its messages are no longer counted."""
        self._message_counter, self._finish, self._check_at = None, _ignore_end, math.inf

    def _check_progress(self) -> None:
        """End the stream if no message has ended in the last `_check_step` bytes."""
        self._check_at = self.received + self._check_step
        messages = self._message_counter.messages if self._message_counter is not None else 0
        if messages == self._messages_at_check:
            self._abort_stream(EndReason.OVERSIZE)
        self._messages_at_check = messages

    def _abort_stream(self, reason: EndReason) -> None:
        self.unparsed.clear()
        self._finish(End(reason, CloseCode.ABNORMAL))
        abort(self._transport)
