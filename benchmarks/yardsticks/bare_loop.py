"""The least work with which Python can send paced streams. A real server has to do more.

    python -m benchmarks.yardsticks.bare_loop PORT

The program has one thread, one absolute schedule of 20 slots in every 20 ms, and one `send` of a ready-made
message for each stream. It has no framework, prompts, limits or metrics. A handshake must arrive in one piece.
"""

import itertools
import select
import socket
import sys
import time
from collections.abc import Callable

from benchmarks.yardsticks import SLOTS
from mediaserver.audio.pcm import FRAME_BYTES, PTIME
from mediaserver.server.http.descriptors import raise_descriptor_limit
from mediaserver.wire import websocket

MOST = 10_000  # streams for which file descriptors are reserved
ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: %b\r\n\r\n"
)
MESSAGE = websocket.binary(bytes(FRAME_BYTES))

Send = Callable[[bytes], int]


class BareLoop:
    """A server of all connections. Each connection that is a stream belongs to one slot of the schedule."""

    def __init__(self, port: int) -> None:
        self._slots: list[list[Send]] = [[] for _ in range(SLOTS)]
        self._connections: dict[int, socket.socket] = {}
        self._listener = socket.create_server(("127.0.0.1", port), backlog=4096)
        self._epoll = select.epoll()
        self._epoll.register(self._listener, select.EPOLLIN)

    def run(self) -> None:
        """For ever: send a frame to a slot's streams, read what peers send, sleep until the next slot is due."""
        due = time.monotonic()
        for slot in itertools.cycle(self._slots):
            for send in slot:
                try:
                    send(MESSAGE)
                except OSError:  # the peer is slow, or gone, which epoll reports
                    continue
            for descriptor, _ in self._epoll.poll(0):
                self._attend(descriptor)
            due += PTIME / SLOTS
            if (wait := due - time.monotonic()) > 0:
                time.sleep(wait)

    def _attend(self, descriptor: int) -> None:
        if descriptor == self._listener.fileno():
            connection, _ = self._listener.accept()
            connection.setblocking(False)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._connections[connection.fileno()] = connection
            self._epoll.register(connection, select.EPOLLIN)
            return
        connection = self._connections[descriptor]
        try:
            request = connection.recv(4096)
        except OSError:
            request = b""
        if not request:
            self._leave(connection)
        elif b"Sec-WebSocket-Key: " in request:
            key = request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
            connection.send(ANSWER % websocket.accept_key(key.decode()).encode())
            min(self._slots, key=len).append(connection.send)

    def _leave(self, connection: socket.socket) -> None:
        for slot in self._slots:
            if connection.send in slot:
                slot.remove(connection.send)
        del self._connections[connection.fileno()]
        connection.close()


if __name__ == "__main__":
    raise_descriptor_limit(MOST)
    BareLoop(int(sys.argv[1])).run()
