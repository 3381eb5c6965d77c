"""All listeners in one thread and one epoll: a socket read a frame, and as little else as Python can do.

What nearly every read gives is one whole frame of the expected size: that path is a comparison and an append.
Anything else (a frame split or two at once, a ping, a close, a wrong size) takes the long way through `frames`.
A frame's time is when epoll told of it.
"""

import select
import ssl
import time
from collections.abc import Callable, Iterator, Sequence

from mediaserver.wire import websocket

from .arrivals import Arrivals
from .dialling import Dialling, Target
from .frames import BINARY, CLOSE, PING, PONG, take_frames

_BUFFER = 65536  # more than a TLS record holds, so that epoll tells of all that is left
_TURN = 0.02  # seconds that nothing need happen for
_DIAL_TURN = 0.001  # the same, while there are listeners to come
_MASK = bytes(4)  # a client's frames are masked; what for, does not matter here


class Listeners:
    """Listeners of one server, each by its socket's descriptor."""

    def __init__(self, target: Target, payload: int, arrivals: Arrivals) -> None:
        self._target = target
        self._header = websocket.header(payload)
        self._size = len(self._header) + payload
        self._payload = payload
        self._epoll = select.epoll()
        self._buffer = bytearray(_BUFFER)
        self._dialling: dict[int, Dialling] = {}
        self._receive: dict[int, Callable[[bytearray], int]] = {}
        self._send: dict[int, Callable[[bytes], int]] = {}
        self._tails: dict[int, bytes] = {}  # beginnings of frames
        self._due: Iterator[float] = iter(())
        self._next = float("inf")
        self.sockets: list[Dialling] = []
        self.arrivals = arrivals
        self.answered: dict[int, float] = {}  # when each listener's handshake was answered
        self.closed = self.bad = 0
        self.slowest = 0.0  # seconds of the longest turn: by so much frames may be late by our own doing

    @property
    def complete(self) -> bool:
        """Whether all that were asked for listen."""
        return not self._dialling and self._next == float("inf")

    def dial(self, due: Sequence[float]) -> None:
        """Listeners to come, one at each of these times; those of before must be complete."""
        self._due = iter(due)
        self._next = next(self._due, float("inf"))

    def run(self, until: Callable[[float], bool]) -> float:
        """Listen until a moment is right, and give it; looked at after every turn."""
        poll, clock = self._epoll.poll, time.monotonic
        told = clock()
        while True:
            now = clock()
            self.slowest = max(self.slowest, now - told)
            if until(now):
                return now
            self._dial_due(now)
            events = poll(_TURN if self.complete else _DIAL_TURN)
            told = clock()
            if events:
                self._turn(events, told)

    def close(self) -> None:
        """Hang up on all."""
        for dialling in self.sockets:
            dialling.socket.close()
        self._epoll.close()

    # -- listening -----------------------------------------------------------------------------------------------

    def _turn(self, events: list[tuple[int, int]], now: float) -> None:
        receivers, buffer, size, header, tails = (
            self._receive, self._buffer, self._size, self._header, self._tails
        )  # fmt: skip
        heard: list[int] = []
        for descriptor, _ in events:
            receive = receivers.get(descriptor)
            if receive is None:
                heard += [descriptor] * self._advance(descriptor, now)
                continue
            try:
                count = receive(buffer)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            except OSError:
                count = 0  # reset, which is an end as well
            if count == size and buffer.startswith(header) and descriptor not in tails:
                heard.append(descriptor)
            else:
                heard += [descriptor] * self._take(descriptor, bytes(buffer[:count]))
        self.arrivals.add(heard, now)

    def _take(self, descriptor: int, data: bytes) -> int:
        """Any bytes of a listener: how many frames of sound they complete. None at all: it was closed."""
        if not data:
            self._gone(descriptor)
            return 0
        heard = 0
        frames, tail = take_frames(self._tails.pop(descriptor, b"") + data)
        if tail:
            self._tails[descriptor] = tail
        for frame in frames:
            if frame.opcode == CLOSE:
                self._gone(descriptor)
                break
            if frame.opcode == PING:
                pong = bytes((0x80 | PONG, len(frame.payload))) + frame.payload
                self._send[descriptor](websocket.mask(pong, _MASK))
            elif frame.opcode != PONG:
                heard += 1
                self.bad += frame.opcode != BINARY or not frame.final or len(frame.payload) != self._payload
        return heard

    def _gone(self, descriptor: int) -> None:
        self.closed += 1
        self._epoll.unregister(descriptor)  # its socket stays, so that no other gets the number

    # -- dialling ------------------------------------------------------------------------------------------------

    def _dial_due(self, now: float) -> None:
        while self._next <= now:
            dialling = Dialling(self._target)
            self.sockets.append(dialling)
            descriptor = dialling.socket.fileno()
            self._dialling[descriptor] = dialling
            self._epoll.register(descriptor, dialling.advance() or 0)
            self._next = next(self._due, float("inf"))

    def _advance(self, descriptor: int, now: float) -> int:
        """A handshake goes on; when it is done there is a listener, who may have heard something already."""
        dialling = self._dialling[descriptor]
        mask = dialling.advance()
        if mask is not None:
            self._epoll.modify(descriptor, mask)
            return 0
        del self._dialling[descriptor]
        self._epoll.modify(descriptor, select.EPOLLIN)
        self._receive[descriptor] = dialling.socket.recv_into
        self._send[descriptor] = dialling.socket.send
        self.answered[descriptor] = now
        return self._take(descriptor, dialling.rest) if dialling.rest else 0
