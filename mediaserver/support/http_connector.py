"""A connector for aiohttp's HTTP client that waits, when it is closed, until its sockets are closed."""

import asyncio
import contextlib
import encodings.idna  # noqa: F401 - or the first connection would import it, amid calls
import socket
import weakref
from functools import partial
from typing import Any

from mediaserver.support.aiohttp_adapter import TracebackFreeConnector

_TLS_CLOSE = 1.0  # seconds that a peer has to answer our close_notify message of TLS


class Connector(TracebackFreeConnector):
    """aiohttp's TCPConnector, without a limit of connections, whose `close` waits until all sockets are closed.

    `close` of aiohttp's class returns before TLS connections are closed: it waits in the background until the peer
    answers close_notify. If the event loop ends before that, the socket stays open.
    """

    def __init__(self, **options: Any) -> None:
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        # `partial` is used because a bound method would put the connector into a reference cycle.
        super().__init__(limit=0, socket_factory=partial(_make_socket, self._sockets), **options)

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close all connections. A connection whose peer does not answer close_notify in time is shut down."""
        await super().close(abort_ssl=abort_ssl)
        if await self._closed_within(_TLS_CLOSE):
            return
        for each in self._open():
            with contextlib.suppress(OSError):  # the peer or the kernel may have closed the socket
                each.shutdown(socket.SHUT_RDWR)
        await self._closed_within(_TLS_CLOSE)

    def _open(self) -> list[socket.socket]:
        return [each for each in self._sockets if each.fileno() != -1]

    async def _closed_within(self, seconds: float) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while self._open():
            if loop.time() > deadline:
                return False
            await asyncio.sleep(0.001)
        return True


def _make_socket(sockets: "weakref.WeakSet[socket.socket]", address: Any) -> socket.socket:
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    sockets.add(made)
    return made
