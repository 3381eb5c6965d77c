"""Reads media frames of many connections at the ticks, past the event loop and the WebSocket parser.

A peer that talks sends a frame every 20 ms. If the event loop reads it, each frame wakes the process, makes
objects, and resumes a task, which costs more than what is done with the audio. So a connection whose peer sends
whole frames of one known size, each as one binary message, is polled: once in each ptime, at a moment at which
streams send anyway, the poller reads the socket itself. A frame waits for that moment for up to 20 ms.

Whatever else comes, such as a control message, a message of another size, or half a message, goes to the
connection's own parser, and the connection is read by the event loop again until the next whole frame.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from mediaserver.wire import websocket

_FRAMES_PER_POLL = 3  # frames that are read from a connection at a time; the kernel keeps more for the next polls
# Polls in a row with so many frames, after which the event loop reads again. It ends the stream of a peer that
# exceeds `server.max_message_rate`, while a network that was held up has delivered all by then.
_MAX_FULL_POLLS = 50
# Bytes of payload in a polled message: those whose header has the same length, up to a frame at 48 kHz.
_MIN_PAYLOAD, _MAX_PAYLOAD = 126, 2048
_MAX_FIRST_FRAMES = 8  # frames that the event loop may have read at once when polling begins
_MAX_IDLE_POLLS = 5  # polls in a row without a frame, after which the event loop reads again
_MAX_DRAINED_BYTES, _DRAINED_AT_ONCE = 256 * 1024, 16 * 1024  # bytes that are read of a lost connection
_READERS_PER_POLL = 100  # connections that are polled at one moment, as in a slot of the ticker


class FrameSink(Protocol):
    """Gets the frames of one connection."""

    received: int  # messages so far
    listening: bool  # whether frames are wanted; without, they are only counted
    irregular: bool  # set before a frame that is not the only one of its ptime


Sink = TypeVar("Sink", bound=FrameSink)


class PollClock(Protocol):
    """Calls a function once in each ptime."""

    def add_poll(self, poll: Callable[[], None]) -> Callable[[], None]:
        """Begin to call `poll`; returns a function that ends this."""


class FrameReader(Generic[Sink]):
    """The frames of one connection, as long as they are whole and of the size that `frame_size` tells.

    `frame_size` returns the bytes of a message that holds one frame, and 0 while any message may hold more than a
    frame. `receive` is the connection's own parser.
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
        self._full = 0  # polls in a row with as many frames as are read at a time
        self.read_bytes = 0  # bytes that are read at a time: whole frames
        self.size = 0  # bytes of a frame's WebSocket message; 0 while unknown
        self.head = b""  # the first bytes of each of these messages
        self.idle = 0  # polls in a row without a frame

    @property
    def polled(self) -> bool:
        """Whether the poller reads this connection at present, and not the event loop."""
        return self._group is not None

    def begin(self, data: bytes) -> bool:
        """Begin to poll, if these bytes are whole frames; they are delivered then.

        False if they are anything else. All that came before must have been parsed and received.
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
        """Have the event loop read again, unless the connection is closing."""
        if self._group is not None:
            self._group.remove(self)
            self._group = None
            if not self._transport.is_closing():
                self._transport.resume_reading()

    def drain(self) -> bytes:
        """What the kernel still holds of a polled connection that is lost; b"" if the connection is not polled."""
        data = b""
        with contextlib.suppress(OSError):
            while self.polled and len(data) < _MAX_DRAINED_BYTES and (part := os.read(self.fd, _DRAINED_AT_ONCE)):
                data += part
        return data

    def on_read_error(self, error: OSError) -> None:
        """No frame has come, or the connection is broken, which the event loop will see as well."""
        self.idle += 1
        if self.idle >= _MAX_IDLE_POLLS or not isinstance(error, BlockingIOError):
            self.stop()

    def on_other(self, data: bytes) -> Sequence[bytes]:
        """The frames in `data`, if it holds nothing but whole frames; all else goes to the parser."""
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
        """The frames in `data`, if it holds nothing but whole frames; else none."""
        size, head = self.size, self.head
        if len(data) % size:
            return ()
        frames = [data[at : at + size] for at in range(0, len(data), size)]
        return frames if all(frame.startswith(head) for frame in frames) else ()


def _nothing() -> None:
    """Do nothing. Stands in for the function that ends a group's polls, once they have ended."""


class _Group(Generic[Sink]):
    """Connections that are polled at the same moment."""

    __slots__ = ("_end_polls", "_poller", "readers")

    def __init__(self, clock: PollClock, poller: "FramePoller[Sink]") -> None:
        self._poller = poller
        self.readers: list[FrameReader[Sink]] = []
        self._end_polls = clock.add_poll(self._poll)

    def remove(self, reader: "FrameReader[Sink]") -> None:
        """Poll a connection no longer."""
        self.readers.remove(reader)
        if not self.readers:
            self._end_polls()
            self._end_polls = _nothing  # what ended the polls refers to this group
            self._poller.groups.remove(self)

    def _poll(self) -> None:
        """Read what has come. A connection whose end has come is left to the event loop, which sees it as well."""
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

    `deliver` gets sinks and, for each of them, a frame: a whole WebSocket message as it came, masked. The sink of
    a connection that has sent several frames comes several times, in their order.
    """

    def __init__(self, clock: PollClock, deliver: Callable[[Sequence[Sink], Sequence[bytes]], None]) -> None:
        self._clock, self.deliver = clock, deliver
        self.groups: list[_Group[Sink]] = []

    def add(self, reader: "FrameReader[Sink]") -> _Group[Sink]:
        """Poll a connection from now on; returns the group that it is in."""
        group = next((each for each in self.groups if len(each.readers) < _READERS_PER_POLL), None)
        if group is None:
            self.groups.append(group := _Group(self._clock, self))
        group.readers.append(reader)
        return group


def _pollable_fd(transport: asyncio.Transport) -> int:
    """The file descriptor by which a connection can be read past its transport; -1 for a connection over TLS."""
    connection = transport.get_extra_info("socket")
    if connection is None or transport.get_extra_info("sslcontext") is not None:
        return -1
    return int(connection.fileno())
