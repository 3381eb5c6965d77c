"""Establishes one listener's WebSocket: TCP, TLS if the server has it, and the upgrade."""

import os
import select
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass

from mediaserver.wire import websocket

from .handshake import DialError, Handshake, headers_of


@dataclass(frozen=True, slots=True)
class Target:
    """The server and path that are dialled. `tls` is the TLS context for wss, None for ws."""

    port: int
    path: str = "/"
    host: str = "127.0.0.1"
    tls: ssl.SSLContext | None = None

    @property
    def address(self) -> tuple[str, int]:
        """The host and port that the socket connects to."""
        return self.host, self.port


class Dialling(Handshake):
    """A connection that a listener dials."""

    def __init__(self, target: Target) -> None:
        self._target = target
        super().__init__(socket.socket())

    def _shake_hands(self) -> Iterator[int]:
        self.socket.connect_ex(self._target.address)
        yield select.EPOLLOUT
        if code := self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code))
        if self._target.tls is not None:
            yield from self._begin_tls(self._target.tls, server_hostname=self._target.host)
        key = b64encode(os.urandom(websocket.KEY_BYTES))
        self.socket.send(self._request(key))
        _check((yield from self._read_head()), key)

    def _request(self, key: bytes) -> bytes:
        path, host = self._target.path.encode(), self._target.host.encode()
        return (
            b"GET %b HTTP/1.1\r\nHost: %b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % (path, host, key)
        )


def _check(head: bytes, key: bytes) -> None:
    status = head.partition(b"\r\n")[0]
    if not status.startswith(b"HTTP/1.1 101 "):
        raise DialError(f"refused: {status.decode(errors='replace')}")
    if headers_of(head).get(b"sec-websocket-accept") != websocket.accept_key(key.decode()).encode():
        raise DialError("the answer is not to our handshake: Sec-WebSocket-Accept")
