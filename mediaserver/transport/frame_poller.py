"""Polls connections for media frames: reads their sockets every 20 ms, bypassing event loop and WebSocket parser.

A peer sends a frame every 20 ms. If the event loop reads the frame, it wakes the process, makes objects, and
resumes a task, which costs more than what is done with the audio. So a connection whose peer sends whole frames of
one known size, each as one binary message, is polled: once in each ptime (20 ms), at a moment at which streams
send anyway, the poller reads the socket itself. A frame waits up to 20 ms for this moment.

All other data, such as a control message, a message of another size, or half a message, goes to the connection's
own parser, and the event loop reads the connection again until the next whole frame.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from mediaserver.wire import websocket

_FRAMES_PER_POLL = 3  # the most frames that one poll reads from a connection; the kernel keeps others for later
# The number of polls in a row that each read `_FRAMES_PER_POLL` frames, after which the event loop reads the
# connection again, and ends the stream if its peer exceeds `server.max_message_rate`. A network that was only held
# up has delivered all waiting frames by then.
_MAX_FULL_POLLS = 50
# The least and the most bytes of payload in a polled message. Within these limits, the WebSocket header always has
# the same length, and the largest frame, 20 ms at 48 kHz, fits.
_MIN_PAYLOAD, _MAX_PAYLOAD = 126, 2048
_MAX_FIRST_FRAMES = 8  # the most frames that the event loop may have read at once when polling begins
_MAX_IDLE_POLLS = 5  # number of polls in a row without a frame, after which the event loop reads the connection
_MAX_DRAINED_BYTES = 256 * 1024  # the most bytes that are read from a lost connection
_DRAINED_AT_ONCE = 16 * 1024  # bytes of a lost connection that are read at a time
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
    """Reads the frames of one connection by polls, while the peer sends whole frames of the size `frame_size()`.

    `frame_size` returns the number of bytes of a message that holds one frame of audio and nothing else; 0 while
    the connection cannot be polled. `receive` passes data to the connection's own parser.
    """

    __slots__ = (
        "_frame_size",
        "_full",
        "_group",
        "_poller",
        "_transport",
        "fd",
        "head",
        "idle",
        "read_bytes",
        "receive",
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
    ) -> None:
        self._poller, self._transport, self._frame_size = poller, transport, frame_size
        self.sink, self.receive = sink, receive
        self._group: _Group[Sink] | None = None
        self.fd = _pollable_fd(transport)
        self._full = 0  # number of polls in a row that read as many frames as a poll may read
        self.read_bytes = 0  # the most bytes that a poll reads: a whole number of frames
        self.size = 0  # bytes of a frame's WebSocket message; 0 while unknown
        self.head = b""  # the first bytes of each frame's WebSocket message
        self.idle = 0  # number of polls of this connection in a row that found no frame

    @property
    def polled(self) -> bool:
        """Whether the poller reads this connection at present, and not the event loop."""
        return self._group is not None

    def begin(self, data: bytes) -> bool:
        """If `data` is whole frames, deliver them and begin to poll; returns False for any other data.

        All earlier data must have been parsed, and its messages received.
        """
        payload = self._frame_size()
        if self.fd < 0 or not _MIN_PAYLOAD <= payload <= _MAX_PAYLOAD:
            return False
        self.head = websocket.masked_head(payload)
        self.size = websocket.masked_size(payload)
        self.read_bytes = _FRAMES_PER_POLL * self.size
        if len(data) > _MAX_FIRST_FRAMES * self.size or not (frames := self._frames_in(data)):
            return False
        self._transport.pause_reading()
        self.idle = self._full = 0
        self._group = self._poller.add(self)
        self.sink.received += len(frames)
        self.sink.irregular = True
        if self.sink.listening:
            self._poller.deliver([self.sink] * len(frames), frames)
        return True

    def stop(self) -> None:
        """Have the event loop read the connection again, unless the connection is closing."""
        if self._group is not None:
            self._group.remove(self)
            self._group = None
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def drain(self) -> bytes:
        """The bytes that the kernel still holds for a lost connection; b"" if the connection was not polled."""
        data = b""
        with contextlib.suppress(OSError):
            while self.polled and len(data) < _MAX_DRAINED_BYTES and (part := os.read(self.fd, _DRAINED_AT_ONCE)):
                data += part
        return data

    def on_read_error(self, error: OSError) -> None:
        """Handle a failed read: stop polling after several polls without data, or if the connection broke.

        The event loop then reads the connection again. A broken connection is closed by the event loop.
        """
        self.idle += 1
        if self.idle >= _MAX_IDLE_POLLS or not isinstance(error, BlockingIOError):
            self.stop()

    def on_other(self, data: bytes) -> Sequence[bytes]:
        """Return the frames in `data` if it holds only whole frames; pass any other data to the parser."""
        frames = self._frames_in(data)
        self._full = self._full + 1 if len(frames) == _FRAMES_PER_POLL else 0
        if frames and self._full < _MAX_FULL_POLLS:
            self.idle = 0
            return frames
        self.stop()
        if data:
            self.receive(data)
        return ()

    def _frames_in(self, data: bytes) -> Sequence[bytes]:
        """The frames in `data` if it holds only whole frames; for any other data, no frames."""
        size, head = self.size, self.head
        if len(data) % size:
            return ()
        frames = [data[at : at + size] for at in range(0, len(data), size)]
        return frames if all(frame.startswith(head) for frame in frames) else ()


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
            try:
                data = read(reader.fd, reader.read_bytes)
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
                sink.received += len(several)
                sink.irregular = True
                if sink.listening:
                    sinks += [sink] * len(several)
                    frames += several
        if sinks:
            self._poller.deliver(sinks, frames)


class FramePoller(Generic[Sink]):
    """Polls the connections of one process.

    `deliver` gets sinks and, for each sink, a frame: a whole WebSocket message as it came, masked. If a connection
    has sent several frames, its sink comes several times, in the order of the frames.
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


def _pollable_fd(transport: asyncio.Transport) -> int:
    """The file descriptor of a connection's socket, to read it directly; -1 for a connection over TLS."""
    connection = transport.get_extra_info("socket")
    if connection is None or transport.get_extra_info("sslcontext") is not None:
        return -1
    return int(connection.fileno())
