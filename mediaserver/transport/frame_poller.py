"""Polls connections for media frames: takes them every 20 ms, bypassing WebSocket parser, queue and task.

A peer sends a frame every 20 ms. If each frame is parsed, makes objects, and resumes a task, that costs more than
what is done with the audio. So a connection whose peer sends whole frames of one known size, each as one binary
message, is polled: once in each ptime (20 ms), at a moment at which streams send anyway. The poller then reads the
socket itself, so that the event loop does not wake up for every frame. A frame waits up to 20 ms for this moment.

The first frames of a connection, which the event loop has read, are kept until the poll: of many connections that
begin at once, or after a hold-up, they are worked on together.

All other data, such as a control message, a message of another size, or half a message, goes to the connection's
own parser, and the event loop reads the connection again until the next whole frame.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from mediaserver.transport.tls_transport import RECORD_OVERHEAD, TlsTransport
from mediaserver.wire import websocket

# The most frames that one poll takes from a connection. The kernel keeps others for later.
_FRAMES_PER_POLL = 3
# The number of polls in a row that each read `_FRAMES_PER_POLL` frames, after which the event loop reads the
# connection again, and ends the stream if its peer exceeds `server.max_message_rate`. A network that was only held
# up has delivered all waiting frames by then. A server that was dialled may relay a call without pacing, and end
# it at once: the event loop reads its burst as soon as one is seen.
_MAX_FULL_POLLS_OF_CLIENT, _MAX_FULL_POLLS_OF_SERVER = 50, 1
# The least and the most bytes of payload in a polled message. Within these limits, the WebSocket header always has
# the same length, and the largest frame, 20 ms at 48 kHz, fits.
_MIN_PAYLOAD, _MAX_PAYLOAD = 126, 2048
_MAX_FIRST_FRAMES = 8  # the most frames that the event loop may have read at once when polling begins
_MAX_IDLE_POLLS = 5  # number of polls in a row without a frame, after which the event loop reads the connection
_READERS_PER_POLL = 100  # the most connections that are polled at the same moment


class FrameSink(Protocol):
    """Receives the frames of one connection."""

    received: int  # number of messages received so far
    listening: bool  # whether frames are to be delivered; if not, they are only counted
    irregular: bool  # set to True before frames are delivered that did not come one by one, every 20 ms


Sink = TypeVar("Sink", bound=FrameSink)


class PollClock(Protocol):
    """Calls a function once in each ptime (20 ms)."""

    def add_poll(self, poll: Callable[[], None]) -> Callable[[], None]:
        """Begin to call `poll` once in each ptime; returns a function that ends these calls."""


class FrameReader(Generic[Sink]):
    """Takes the frames of one connection by polls, while the peer sends whole frames of the size `frame_size()`.

    `frame_size` returns the number of bytes of a message that holds one frame of audio and nothing else; 0 while
    the connection cannot be polled. `receive` passes data to the connection's own parser. `take_pong` takes a
    message if it is the pong that is awaited, and else returns False. `masked`: whether the peer masks its frames.
    """

    __slots__ = (
        "_fd",
        "_frame_size",
        "_full",
        "_group",
        "_kept",
        "_masked",
        "_poller",
        "_receive",
        "_take_pong",
        "_tls",
        "_tls_bytes",
        "_transport",
        "fd",
        "head",
        "idle",
        "read_bytes",
        "sink",
        "size",
    )

    def __init__(
        self,
        poller: "FramePoller[Sink]",
        transport: asyncio.Transport,
        sink: Sink,
        frame_size: Callable[[], int],
        receive: Callable[[bytes], None],
        take_pong: Callable[[bytes], bool],
        *,
        masked: bool,
    ) -> None:
        self._poller, self._transport, self._frame_size = poller, transport, frame_size
        self.sink, self._receive, self._take_pong, self._masked = sink, receive, take_pong, masked
        self._group: _Group[Sink] | None = None
        self._tls = transport if isinstance(transport, TlsTransport) else None
        self._fd = _fd_of(transport)
        self.fd = -1  # the socket that the next poll reads by itself; -1 if it has to call `take`
        self._kept = b""  # the first frames, which the event loop has read, until a poll takes them
        self._full = 0  # number of polls in a row that took as many frames as a poll may take
        self.read_bytes = 0  # the most bytes that a poll takes: a whole number of frames
        self._tls_bytes = 0  # the most bytes that a poll reads over TLS: as many frames, each in a record
        self.size = 0  # bytes of a frame's WebSocket message; 0 while unknown
        self.head = b""  # the first bytes of each frame's WebSocket message
        self.idle = 0  # number of polls of this connection in a row that found no frame

    @property
    def polled(self) -> bool:
        """Whether the poller takes this connection's frames at present."""
        return self._group is not None

    def offer(self, data: bytes) -> bool:
        """If the event loop has read whole frames, keep them until the next poll, and poll; False for other data.

        All earlier data must have been parsed, and its messages received.
        """
        if self._group is not None:  # the connection was lost, and this is what the peer had sent before
            self.stop()
            return False
        payload = self._frame_size()
        if self._fd < 0 or not _MIN_PAYLOAD <= payload <= _MAX_PAYLOAD:
            return False
        self.head = websocket.message_head(payload, masked=self._masked)
        self.size = websocket.message_size(payload, masked=self._masked)
        self.read_bytes = _FRAMES_PER_POLL * self.size
        self._tls_bytes = _FRAMES_PER_POLL * (self.size + RECORD_OVERHEAD)
        if len(data) > _MAX_FIRST_FRAMES * self.size or not (frames := self._split(data)):
            return False
        self.idle = self._full = 0
        self._group = self._poller.add(self)
        self.sink.irregular = True
        self._kept, self.fd = b"".join(frames), -1
        self._transport.pause_reading()
        return True

    def stop(self) -> None:
        """Have the parser get what is kept and what comes, unless the connection is closing."""
        if self._group is not None:
            self._group.remove(self)
            self._group = None
            if not self._transport.is_closing():
                self._transport.resume_reading()
            if self._kept:
                self._receive(self._take_kept())

    def on_read_error(self, error: OSError) -> None:
        """Handle a failed read: stop polling after several polls without data, or if the connection broke.

        The event loop then reads the connection again. A broken connection is closed by the event loop.
        """
        self.idle += 1
        if self.idle >= _MAX_IDLE_POLLS or not isinstance(error, BlockingIOError):
            self.stop()

    def take(self) -> bytes:
        """The first frames, if they are kept, and else what has come over TLS. Errors are those of a socket."""
        if self._kept or self._tls is None:
            return self._take_kept()
        return self._tls.read(self._fd, self._tls_bytes)

    def _take_kept(self) -> bytes:
        kept, self._kept = self._kept, b""
        self.fd = self._fd if self._tls is None else -1
        return kept

    def on_other(self, data: bytes) -> Sequence[bytes]:
        """Return the frames in `data` if it holds only whole frames; pass any other data to the parser."""
        # One record of TLS may hold more frames than a poll may take.
        frames = self._split(data) if len(data) < self.read_bytes + self.size else None
        if frames is not None:
            self._full = self._full + 1 if len(frames) == _FRAMES_PER_POLL else 0
            if self._full < (_MAX_FULL_POLLS_OF_CLIENT if self._masked else _MAX_FULL_POLLS_OF_SERVER):
                return frames
        self.stop()
        if data:
            self._receive(data)
        return ()

    def _split(self, data: bytes) -> list[bytes] | None:
        """The frames in `data`; None if it holds anything else. A pong that is awaited may stand among them."""
        size, head = self.size, self.head
        if excess := len(data) % size:
            for at in range(0, len(data), size):
                if not data.startswith(head, at):
                    frames = self._split(data[:at] + data[at + excess :]) if len(data) > excess else []
                    return frames if frames is not None and self._take_pong(data[at : at + excess]) else None
            return None
        frames = [data[at : at + size] for at in range(0, len(data), size)]
        return frames if frames and all(frame.startswith(head) for frame in frames) else None


def _nothing() -> None:
    """Do nothing. This function replaces the function that ends a group's polls, once the polls have ended."""


class _Group(Generic[Sink]):
    """Connections that are polled at the same moment."""

    __slots__ = ("_end_polls", "_poller", "readers")

    def __init__(self, clock: PollClock, poller: "FramePoller[Sink]") -> None:
        self._poller = poller
        self.readers: list[FrameReader[Sink]] = []
        self._end_polls = clock.add_poll(self._poll)

    def remove(self, reader: "FrameReader[Sink]") -> None:
        """Stop polling a connection."""
        self.readers.remove(reader)
        if not self.readers:
            self._end_polls()
            # Break a reference cycle: the function that ended the polls refers to the group.
            self._end_polls = _nothing
            self._poller.groups.remove(self)

    def _poll(self) -> None:
        """Read what has come on each connection of the group. A connection that ends is left to the event loop."""
        sinks: list[Sink] = []
        frames: list[bytes] = []
        read = os.read
        for reader in self.readers[:]:
            fd = reader.fd
            try:
                data = read(fd, reader.read_bytes) if fd >= 0 else reader.take()
            except OSError as error:
                reader.on_read_error(error)
                continue
            sink = reader.sink
            if len(data) == reader.size and data.startswith(reader.head):
                if reader.idle:
                    reader.idle, sink.irregular = 0, True
                sink.received += 1
                if sink.listening:
                    sinks.append(sink)
                    frames.append(data)
            elif several := reader.on_other(data):
                reader.idle = 0
                sink.received += len(several)
                sink.irregular = True
                if sink.listening:
                    sinks += [sink] * len(several)
                    frames += several
        if sinks:
            self._poller.deliver(sinks, frames)


class FramePoller(Generic[Sink]):
    """Polls the connections of one process.

    `deliver` gets sinks and, for each sink, a frame: a whole WebSocket message as it came, masked or not. If a
    connection has sent several frames, its sink comes several times, in the order of the frames.
    """

    def __init__(self, clock: PollClock, deliver: Callable[[Sequence[Sink], Sequence[bytes]], None]) -> None:
        self._clock, self.deliver = clock, deliver
        self.groups: list[_Group[Sink]] = []

    def add(self, reader: "FrameReader[Sink]") -> _Group[Sink]:
        """Poll a connection from now on; returns the group that the connection is in."""
        group = next((each for each in self.groups if len(each.readers) < _READERS_PER_POLL), None)
        if group is None:
            self.groups.append(group := _Group(self._clock, self))
        group.readers.append(reader)
        return group


def _fd_of(transport: asyncio.Transport) -> int:
    """The file descriptor of a connection's socket; -1 if there is none, or if another TLS than ours reads it."""
    connection, tls = transport.get_extra_info("socket"), transport.get_extra_info("sslcontext")
    if connection is None or (tls is not None and not isinstance(transport, TlsTransport)):
        return -1
    return int(connection.fileno())
