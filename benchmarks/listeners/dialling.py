"""Establishes one listener's WebSocket without blocking: TCP, TLS if the server has it, and the upgrade."""

import os
import select
import socket
import ssl
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass

from mediaserver.wire import websocket

_READ = 65536


class DialError(Exception):
    """The server does not accept a listener; the message has the server's answer."""


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


class Dialling:
    """A connection that is being established. Call `advance` when the socket is ready, until it returns None."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.socket = socket.socket()
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""  # bytes of frames that arrived together with the HTTP answer
        self._steps = self._dial()

    def advance(self) -> int | None:
        """Take the next step. Returns the epoll events to wait for; None once upgraded. DialError on failure."""
        try:
            return next(self._steps, None)
        except OSError as error:
            raise DialError(f"cannot connect to {self._target.address}: {error}") from error

    def _dial(self) -> Iterator[int]:
        self.socket.connect_ex(self._target.address)
        yield select.EPOLLOUT
        if code := self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(code, os.strerror(code))
        if self._target.tls is not None:
            yield from self._shake_hands(self._target.tls)
        key = b64encode(os.urandom(16))
        self.socket.send(self._request(key))
        answer = b""
        while b"\r\n\r\n" not in answer:
            yield select.EPOLLIN
            try:
                data = self.socket.recv(_READ)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            if not data:
                raise DialError(f"closed instead of an answer; so far: {answer!r}")
            answer += data
        head, _, self.rest = answer.partition(b"\r\n\r\n")
        _check(head, key)

    def _shake_hands(self, tls: ssl.SSLContext) -> Iterator[int]:
        wrapped = tls.wrap_socket(self.socket, do_handshake_on_connect=False, server_hostname=self._target.host)
        self.socket = wrapped  # has the descriptor of the plain socket
        while True:
            try:
                return wrapped.do_handshake()
            except ssl.SSLWantReadError:
                yield select.EPOLLIN
            except ssl.SSLWantWriteError:
                yield select.EPOLLOUT

    def _request(self, key: bytes) -> bytes:
        path, host = self._target.path.encode(), self._target.host.encode()
        return (
            b"GET %b HTTP/1.1\r\nHost: %b\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %b\r\n\r\n" % (path, host, key)
        )


def _check(head: bytes, key: bytes) -> None:
    status, *lines = head.split(b"\r\n")
    if not status.startswith(b"HTTP/1.1 101 "):
        raise DialError(f"refused: {status.decode(errors='replace')}")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(b":") for line in lines)}
    if headers.get(b"sec-websocket-accept") != websocket.accept_key(key.decode()).encode():
        raise DialError("the answer is not to our handshake: Sec-WebSocket-Accept")
