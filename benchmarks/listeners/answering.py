"""Answers a server that dials a listener, as VoIPBIN answers where a server dials a call."""

import select
import socket
import ssl
from collections.abc import Iterator

from mediaserver.wire import websocket

from .handshake import DialError, Handshake, headers_of

_ANSWER = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: %b\r\n\r\n"
)


class Answering(Handshake):
    """A connection that a server has dialled. `tls` is the TLS context for wss, None for ws."""

    def __init__(self, connection: socket.socket, tls: ssl.SSLContext | None) -> None:
        self._tls = tls
        super().__init__(connection)

    def _shake_hands(self) -> Iterator[int]:
        if self._tls is not None:
            yield select.EPOLLIN
            yield from self._begin_tls(self._tls)
        head = yield from self._read_head()
        key = headers_of(head).get(b"sec-websocket-key")
        if key is None:
            raise DialError(f"no WebSocket is asked for: {head!r}")
        self.socket.send(_ANSWER % websocket.accept_key(key.decode()).encode())
