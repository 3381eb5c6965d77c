"""Receives on an AudioSocket connection: cuts the bytes into messages, and gives the session each message.

The number of bytes and messages that wait, and the time that they wait, are limited. After a limit is exceeded, we
read on all the same, because Asterisk locks up if its data is not read. A server has thousands of these receivers,
so each takes little memory.
"""

import asyncio
from collections.abc import Callable, Iterator

from mediaserver.call import CloseCode, End, EndReason, Session
from mediaserver.config.listener_settings import FRAME_MESSAGE, ServerSettings
from mediaserver.transport.connection import abort
from mediaserver.wire import audiosocket

_SLICE_BYTES = 4096  # number of bytes that are parsed at a time: a dozen frames
# The most messages given to the session before other streams get their turns of the event loop. One slice of bytes
# may hold a thousand tiny messages.
_MESSAGES_PER_TURN = 32
_MAX_BACKLOG_BYTES = 128 * 1024  # the most bytes that are read but not yet parsed; with more, reading pauses
# Seconds for which messages may wait, with no pause, before the stream is ended as a flood.
_MAX_BACKLOG_TIME = 2.0
_MAX_DISCARDED_BYTES = 2_000_000  # the most bytes dropped after a stream's end, before it is reset: 5 s at 192 kHz
_MAX_DISCARDED_FLOOD_BYTES = 128 * 1024  # the most bytes dropped after a stream that ended because of a limit

# Bytes of a message with 20 ms of audio, by the kind of message. All other kinds count as audio at 8 kHz.
_MESSAGE_BYTES = {kind: rate // 50 * 2 + audiosocket.HEADER_BYTES for kind, rate in audiosocket.RATES.items()}


class InboundRateLimit:
    """Limits a peer to `max_rate` messages a second. A message of several 20 ms frames counts as several messages.

    A frame counts as one message at any sample rate, so that a wideband stream is no flood. After the network has
    held up a peer's messages, their rate may exceed 50 a second for a while. `clock` returns monotonic seconds.
    """

    __slots__ = ("_clock", "_frames", "_max_rate", "_second")

    def __init__(self, max_rate: int, clock: Callable[[], float]) -> None:
        self._max_rate, self._clock = max_rate, clock
        self._second, self._frames = clock(), 0.0

    def allows(self, kind: int, size: int) -> bool:
        """Count a message of `size` bytes, its header included. False if the peer now exceeds the rate limit."""
        frames = 1.0  # nearly every message holds one frame of 20 ms
        if size > FRAME_MESSAGE:
            frames = max(1.0, size / _MESSAGE_BYTES.get(kind, FRAME_MESSAGE))
        self._frames += frames
        if self._frames <= self._max_rate:
            return True
        now = self._clock()
        if now - self._second < 1:
            return False
        self._second, self._frames = now, frames
        return True


def ignore_message(message: bytes) -> None:
    """Ignore a message of a connection that has no session."""


class MessageReceiver(asyncio.Protocol):
    """The receiving half of a connection. It is a base class, because a separate object would cost a method call
    for each frame.

    A subclass reads the handshake, and then sets `_session` and `_on_message`. Its method `_on_eof` or `_on_lost`
    is called at the end of the input.
    """

    __slots__ = (
        "_backlog",
        "_backlog_since",
        "_discard_limit",
        "_discarding",
        "_eof",
        "_loop",
        "_max_message_bytes",
        "_messages",
        "_on_message",
        "_parser",
        "_paused",
        "_rate_limit",
        "_session",
        "transport",
    )

    def __init__(self, limits: ServerSettings) -> None:
        self._loop = asyncio.get_running_loop()
        self.transport: asyncio.Transport | None = None  # the transport; None once the connection is lost
        self._rate_limit = InboundRateLimit(limits.max_message_rate, self._loop.time)
        self._max_message_bytes = limits.max_message_bytes
        self._session: Session | None = None
        self._on_message: Callable[[bytes], None] = ignore_message
        self._parser = audiosocket.StreamParser()
        self._messages: Iterator[bytes] | None = None  # messages of a slice that the session has yet to get
        self._backlog = bytearray()  # received bytes that are not parsed yet
        self._backlog_since = 0.0  # when bytes or messages began to wait, in seconds of the loop's clock
        self._paused = False  # whether reading is paused, so that the kernel keeps the bytes that come
        self._eof = False  # whether the peer has closed its half of the connection
        self._discarding = False  # whether bytes from the peer are read and dropped
        self._discard_limit = _MAX_DISCARDED_BYTES

    def _read_handshake(self, data: bytes) -> bytes:
        """Read bytes of the peer's handshake. Returns the bytes that follow the handshake."""
        raise NotImplementedError

    def _on_eof(self) -> None:
        """Called when the peer has closed its half, and the session has got all earlier messages."""
        raise NotImplementedError

    def _on_lost(self) -> None:
        """Called when the connection is lost, and the session has got all earlier messages."""
        raise NotImplementedError

    def data_received(self, data: bytes) -> None:
        """Parse bytes from the peer. Many bytes are parsed in slices, so that other streams get their turns."""
        if self._session is None and not self._discarding:
            data = self._read_handshake(data)
        if self._discarding:
            self._discard(len(data))
        elif self._has_backlog:
            self._backlog += data
            if len(self._backlog) > _MAX_BACKLOG_BYTES and not self._paused and self.transport is not None:
                self._paused = True
                self.transport.pause_reading()
        elif data:
            if len(data) > _SLICE_BYTES:
                self._backlog += data
            else:  # usually the peer sends one message at a time
                self._messages = self._parser.feed(data)
            self._backlog_since = self._loop.time()
            self._process_turn()

    @property
    def _has_backlog(self) -> bool:
        """Whether bytes or messages wait for the next turn of the event loop."""
        return self._messages is not None or bool(self._backlog)

    def _process_turn(self) -> None:
        """Give the session some of the waiting messages now, and more in the next turns of the event loop."""
        if self._messages is None:
            part = bytes(self._backlog[:_SLICE_BYTES])
            del self._backlog[:_SLICE_BYTES]
            self._messages = self._parser.feed(part)
        self._process(self._messages)
        if self._has_backlog and self._loop.time() - self._backlog_since > _MAX_BACKLOG_TIME:
            self._on_limit_exceeded(End(EndReason.FLOOD, CloseCode.ABNORMAL))
        if len(self._backlog) < _MAX_BACKLOG_BYTES / 2:  # reading resumes before the backlog is empty
            self._resume_reading()
        if self._has_backlog:
            self._loop.call_soon(self._process_turn)
            return
        if self.transport is None:
            self._on_lost()
        elif self._eof:
            self._on_eof()

    def _process(self, messages: Iterator[bytes]) -> None:
        """Give the session the messages of one turn of the event loop, unless one exceeds a limit."""
        for count, message in enumerate(messages, 1):
            if not self._rate_limit.allows(message[0], len(message)):
                self._on_limit_exceeded(End(EndReason.FLOOD, CloseCode.ABNORMAL))
                return
            if len(message) > self._max_message_bytes:
                self._on_limit_exceeded(End(EndReason.OVERSIZE, CloseCode.TOO_BIG))
                return
            self._on_message(message)
            if count == _MESSAGES_PER_TURN:
                return
        self._messages = None
        if self._parser.pending > self._max_message_bytes:
            self._on_limit_exceeded(End(EndReason.OVERSIZE, CloseCode.TOO_BIG))

    def _on_limit_exceeded(self, end: End) -> None:
        """Finish the session of a peer that exceeds a limit. The peer is still sent a hang-up."""
        self._discard_limit = _MAX_DISCARDED_FLOOD_BYTES - len(self._backlog)
        self._start_discarding()
        if self._session is not None:
            self._session.finish(end)

    def _start_discarding(self) -> None:
        """Drop all bytes and messages that wait, and from now on all bytes that come."""
        self._discarding = True
        self._backlog.clear()
        self._messages = None
        self._resume_reading()

    def _discard(self, size: int) -> None:
        """Drop bytes that come after the stream's end, up to a limit. Unread bytes would make our close a TCP
        reset.
        """
        self._discard_limit -= size
        if self._discard_limit < 0 and self.transport is not None:
            abort(self.transport)

    def _resume_reading(self) -> None:
        if self._paused and self.transport is not None and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    def eof_received(self) -> bool:
        """Note that the peer has closed its half, as Asterisk does at a hang-up. True keeps our half open."""
        self._eof = True
        if not self._has_backlog:
            self._on_eof()
        return True
