"""All listeners in one thread and one epoll: one socket read per frame, and as little else as Python can do.

Nearly every read gives one whole frame of the expected size, which costs a comparison and an append. All other
data (a split frame, two frames at once, a ping, a close, a wrong size) is parsed by the module `frames`. A frame's
arrival time is the time at which epoll reported its socket.
"""

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle

from mediaserver.transport.masking import mask
from mediaserver.wire import websocket

from .answering import Answering
from .arrivals import Arrivals
from .dialling import Dialling, Target
from .frames import BINARY, CLOSE, PING, PONG, take_frames
from .handshake import Handshake
from .speech import Send, Talkers

_BUFFER = 65536  # bytes of one read: more than a TLS record, so that no data is left that epoll does not report
_TURN = 0.02  # seconds that one turn waits for events at most
_DIAL_TURN = 0.001  # seconds that one turn waits for events at most while there are listeners to dial
_MASK = bytes(4)  # the key with which a client's frames are masked; the server accepts any
# Listeners that hang up in one turn. A thousand in one turn would take 10 ms, by which frames would look late.
_HANG_UP_AT_ONCE = 20
_GOODBYE = mask(websocket.close(1000), _MASK)


class Listeners:
    """Listeners of one server, each by its socket's descriptor.

    They dial the `target`. With `server`, a listening socket, the measured server dials them there instead. They
    answer by the target's TLS then.
    """

    def __init__(
        self, target: Target, payload: int, arrivals: Arrivals, server: socket.socket | None = None
    ) -> None:
        self._target, self._server = target, server
        self._masked = server is not None  # whether what comes is masked, because it is a client's
        self._header = websocket.message_head(payload, masked=self._masked)
        self._size = websocket.message_size(payload, masked=self._masked)
        self._payload = payload
        self._epoll = select.epoll()
        self._buffer = bytearray(_BUFFER)
        self._establishing: dict[int, tuple[Handshake, Talkers | None]] = {}
        self._receive: dict[int, Callable[[bytearray], int]] = {}
        self._send: dict[int, Send] = {}
        self._tails: dict[int, bytes] = {}  # by descriptor, the beginning of a frame that is not complete
        self._due: Iterator[float] = iter(())
        self._next = float("inf")
        self._targets: Iterator[Target] = cycle((target,))
        self._talkers: Talkers | None = None  # whom the listeners join that are dialled, or answered, now
        self._talking: list[Talkers] = []
        self._leaving: list[int] = []  # descriptors of listeners that hang up, the next one last
        self._leave_at = float("inf")
        self.sockets: dict[int, Handshake] = {}
        self.arrivals = arrivals
        self.answered: dict[int, float] = {}  # when each listener's handshake was answered
        self.closed = self.bad = 0
        self.slowest = 0.0  # seconds of the longest turn, by which this process may have made frames late itself
        if server is not None:
            server.setblocking(False)
            self._epoll.register(server, select.EPOLLIN)

    @property
    def complete(self) -> bool:
        """Whether all listeners that `dial` was asked for are connected."""
        return not self._establishing and self._next == float("inf")

    def dial(self, due: Sequence[float], *, paths: Sequence[str] = (), talkers: Talkers | None = None) -> None:
        """Dial one listener at each of these times. Listeners dialled before must be connected.

        With `paths`, they take turns to dial these instead of the target's. With `talkers`, they talk.
        """
        if self._server is None:
            self._due = iter(due)
            self._next = next(self._due, float("inf"))
        targets = [Target(self._target.port, path, self._target.host, self._target.tls) for path in paths]
        self._targets = cycle(targets or (self._target,))
        self._talkers = talkers
        if talkers is not None:
            self._talking.append(talkers)

    def hang_up(self, at: float, count: int) -> set[int]:
        """Have so many of the present listeners hang up at a time. Returns their descriptors.

        They are spread over all listeners. One half says goodbye before, as the other does not.
        """
        present = list(self._receive)
        self._leaving = [present[number * len(present) // count] for number in range(count)]
        self._leave_at = at
        return set(self._leaving)

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
            wait = _TURN if self.complete else _DIAL_TURN
            for talkers in self._talking:
                wait = min(wait, max(0.0, talkers.talk(now) - now))
            if now >= self._leave_at:
                wait = 0.0
                self._hang_up_some()
            events = poll(wait)
            told = clock()
            if events:
                self._turn(events, told)

    def close(self) -> None:
        """Close the sockets of all listeners."""
        for each in self.sockets.values():
            each.socket.close()
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
                heard += [descriptor] * self._establish(descriptor, now)
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
        frames, tail = take_frames(self._tails.pop(descriptor, b"") + data, masked=self._masked)
        if tail:
            self._tails[descriptor] = tail
        for frame in frames:
            if frame.opcode == CLOSE:
                self._gone(descriptor)
                break
            if frame.opcode == PING:
                pong = websocket.pong(frame.payload)
                self._send[descriptor](pong if self._masked else mask(pong, _MASK))
                self.sockets[descriptor].acknowledge_at_once()
            elif frame.opcode != PONG:
                heard += 1
                self.bad += frame.opcode != BINARY or not frame.final or len(frame.payload) != self._payload
        return heard

    def _gone(self, descriptor: int) -> None:
        self.closed += 1
        self._epoll.unregister(descriptor)  # the socket stays open, so that its number is not reused

    def _hang_up_some(self) -> None:
        for _ in range(min(_HANG_UP_AT_ONCE, len(self._leaving))):
            descriptor = self._leaving.pop()
            self._epoll.unregister(descriptor)  # the socket stays open, as in `_gone`
            with contextlib.suppress(OSError):  # the server may have closed already
                if len(self._leaving) % 2:
                    self._send[descriptor](_GOODBYE)
                self.sockets[descriptor].socket.shutdown(socket.SHUT_RDWR)
        if not self._leaving:
            self._leave_at = float("inf")

    # -- connecting ----------------------------------------------------------------------------------------------

    def _dial_due(self, now: float) -> None:
        while self._next <= now:
            self._begin(Dialling(next(self._targets)))
            self._next = next(self._due, float("inf"))

    def _begin(self, handshake: Handshake) -> None:
        descriptor = handshake.socket.fileno()
        self.sockets[descriptor] = handshake
        self._establishing[descriptor] = handshake, self._talkers
        self._epoll.register(descriptor, handshake.advance() or 0)

    def _establish(self, descriptor: int, now: float) -> int:
        """Continue a handshake, and make a listener once it is done. Returns the number of frames received."""
        if self._server is not None and descriptor == self._server.fileno():
            with contextlib.suppress(BlockingIOError):  # the server that dialled may have given up
                self._begin(Answering(self._server.accept()[0], self._target.tls))
            return 0
        handshake, talkers = self._establishing[descriptor]
        mask = handshake.advance()
        if mask is not None:
            self._epoll.modify(descriptor, mask)
            return 0
        del self._establishing[descriptor]
        self._epoll.modify(descriptor, select.EPOLLIN)
        self._receive[descriptor] = handshake.socket.recv_into
        self._send[descriptor] = handshake.socket.send
        if talkers is not None:
            talkers.add(handshake.socket.send)
        self.answered[descriptor] = now
        handshake.acknowledge_at_once()
        return self._take(descriptor, handshake.rest) if handshake.rest else 0
