"""All listeners in one thread and one epoll: one socket read per frame, and as little else as Python can do.

Nearly every read gives one whole frame of the expected size, which costs a comparison and an append. All other
data (a split frame, two frames at once, a ping, a close, a wrong size) is parsed by the module `frames`. A frame's
arrival time is the time at which epoll reported its socket.
"""

import select
import ssl
import time
from collections.abc import Callable, Iterator, Sequence

from mediaserver.wire import websocket

from .arrivals import Arrivals
from .dialling import Dialling, Target
from .frames import BINARY, CLOSE, PING, PONG, take_frames

_BUFFER = 65536  # bytes of one read: more than a TLS record, so that no data is left that epoll does not report
_TURN = 0.02  # seconds that one turn waits for events at most
_DIAL_TURN = 0.001  # seconds that one turn waits for events at most while there are listeners to dial
_MASK = bytes(4)  # the key with which a client's frames are masked; the server accepts any


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
        self._tails: dict[int, bytes] = {}  # by descriptor, the beginning of a frame that is not complete
        self._due: Iterator[float] = iter(())
        self._next = float("inf")
        self.sockets: list[Dialling] = []
        self.arrivals = arrivals
        self.answered: dict[int, float] = {}  # when each listener's handshake was answered
        self.closed = self.bad = 0
        self.slowest = 0.0  # seconds of the longest turn, by which this process may have made frames late itself

    @property
    def complete(self) -> bool:
        """Whether all listeners that `dial` was asked for are connected."""
        return not self._dialling and self._next == float("inf")

    def dial(self, due: Sequence[float]) -> None:
        """Dial one listener at each of these times. Listeners dialled before must be connected."""
        self._due = iter(due)
        self._next = next(self._due, float("inf"))

    def run(self, until: Callable[[float], bool]) -> float:
        """Listen until `until`, called with the time after every turn, returns True. Returns the last time."""
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
        """Close the sockets of all listeners."""
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
                count = 0  # a reset ends the stream like a close
            if count == size and buffer.startswith(header) and descriptor not in tails:
                heard.append(descriptor)
            else:
                heard += [descriptor] * self._take(descriptor, bytes(buffer[:count]))
        self.arrivals.add(heard, now)

    def _take(self, descriptor: int, data: bytes) -> int:
        """Process a listener's data; return how many audio frames they complete. Empty data ends the stream."""
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
        self._epoll.unregister(descriptor)  # the socket stays open, so that its number is not reused

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
        """Continue a handshake, and make a listener once it is done. Returns the number of frames received."""
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
