"""A connection that is established step by step, without blocking, whichever side has dialled it."""

import abc
import select
import socket
import ssl
from collections.abc import Generator, Iterator

_READ = 65536


class DialError(Exception):
    """A listener has no connection; the message says what the other side did instead."""


class Handshake(abc.ABC):
    """A connection that is being established. Call `advance` when the socket is ready, until it returns None."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.rest = b""  # bytes of frames that arrived together with the HTTP head
        self._steps = self._shake_hands()

    def advance(self) -> int | None:
        """Take the next step. Returns the epoll events to wait for; None once upgraded. DialError on failure."""
        try:
            return next(self._steps, None)
        except OSError as error:
            raise DialError(f"cannot connect: {error}") from error

    def acknowledge_at_once(self) -> None:
        """Have the kernel acknowledge what comes as soon as it is read: until something is sent, which ends that.

        Otherwise, if this side answers the peer, it acknowledges frames by twos, when the second one has come. On
        the loopback interface that is within the server's own `send`, and takes 3 µs of the server's time a frame,
        which a server does not spend whose peers have asked, rather than answered.
        """
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)

    @abc.abstractmethod
    def _shake_hands(self) -> Iterator[int]:
        """Yield the epoll events to wait for, step by step."""

    def _begin_tls(self, tls: ssl.SSLContext, *, server_hostname: str | None = None) -> Iterator[int]:
        """Begin to speak TLS: as a server, without the name of the server that is dialled."""
        wrapped = tls.wrap_socket(
            self.socket,
            server_side=server_hostname is None,
            do_handshake_on_connect=False,
            server_hostname=server_hostname,
        )
        self.socket = wrapped  # has the descriptor of the plain socket
        while True:
            try:
                return wrapped.do_handshake()
            except ssl.SSLWantReadError:
                yield select.EPOLLIN
            except ssl.SSLWantWriteError:
                yield select.EPOLLOUT

    def _read_head(self) -> Generator[int, None, bytes]:
        """Read the other side's HTTP head, and return it without the blank line at its end."""
        head = b""
        while b"\r\n\r\n" not in head:
            yield select.EPOLLIN
            try:
                data = self.socket.recv(_READ)
            except (BlockingIOError, ssl.SSLWantReadError):
                continue
            if not data:
                raise DialError(f"closed during the handshake; so far: {head!r}")
            head += data
        head, _, self.rest = head.partition(b"\r\n\r\n")
        return head


def headers_of(head: bytes) -> dict[bytes, bytes]:
    """The header fields of an HTTP head by their names in lower case."""
    lines = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in lines}
