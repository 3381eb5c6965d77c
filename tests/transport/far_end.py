"""The far end of a connection, plain and by TLS, as a socket of the test's."""

import asyncio
import socket
import ssl

import pytest
import trustme


def tls_contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """The contexts of a server called `here` and of its clients."""
    authority = trustme.CA()
    server, client = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), ssl.create_default_context()
    authority.issue_cert("here").configure_cert(server)
    authority.configure_trust(client)
    return server, client


SERVER, CLIENT = tls_contexts()


async def connected() -> tuple[asyncio.Transport, socket.socket, socket.socket]:
    """A transport without a protocol of its own, its socket, and the socket of its far end."""
    near, far = socket.socketpair()
    near.setblocking(False)
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=near)
    return transport, near, far


class PlainEnd:
    """The far end of a connection."""

    def __init__(self, plain: socket.socket) -> None:
        self._plain = plain

    def send(self, *data: bytes) -> None:
        """Send some pieces at once; by TLS, each in a record of its own."""
        self._plain.sendall(b"".join(data))

    def close(self) -> None:
        self._plain.close()


class TlsEnd(PlainEnd):
    """The far end of a connection that speaks TLS."""

    def __init__(self, plain: socket.socket, *, is_server: bool) -> None:
        super().__init__(plain)
        plain.setblocking(False)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = (
            SERVER.wrap_bio(self._incoming, self._outgoing, server_side=True)
            if is_server
            else CLIENT.wrap_bio(self._incoming, self._outgoing, server_hostname="here")
        )

    async def shake_hands(self) -> None:
        """Shake hands. SSLError if the peer does not want to."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                await loop.sock_sendall(self._plain, self._outgoing.read())
                self._incoming.write(await loop.sock_recv(self._plain, 65_536))
            else:
                await loop.sock_sendall(self._plain, self._outgoing.read())
                return

    def send(self, *data: bytes) -> None:
        for each in data:
            self._tls.write(each)
        super().send(self._outgoing.read())

    def end_tls(self) -> None:
        """Tell the peer that nothing more is sent, and leave the TCP connection open."""
        with pytest.raises(ssl.SSLWantReadError):
            self._tls.unwrap()  # makes the alert close_notify
        super().send(self._outgoing.read())
