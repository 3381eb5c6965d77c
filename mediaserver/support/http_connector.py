"""A connector for aiohttp's HTTP client that closes its sockets when it is closed."""

import asyncio
import contextlib
import socket
import weakref
from functools import partial
from typing import Any

from mediaserver.support.aiohttp_adapter import TracebackFreeConnector

_TLS_CLOSE = 1.0  # seconds for the peer to answer the TLS close_notify


class Connector(TracebackFreeConnector):
    """aiohttp's TCPConnector, without a limit of connections, whose `close` waits until all sockets are closed.

    aiohttp's own closes TLS connections in the background, for as long as the peer takes to answer close_notify.
    An event loop that ends meanwhile leaves the socket open.
    """

    def __init__(self, **options: Any) -> None:
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        # A bound method instead of `partial` would keep the connector in a reference cycle.
        super().__init__(limit=0, socket_factory=partial(_make_socket, self._sockets), **options)

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close all connections. One whose peer does not answer close_notify in time is shut down."""
        await super().close(abort_ssl=abort_ssl)
        if await self._closed_within(_TLS_CLOSE):
            return
        for each in self._open():
            with contextlib.suppress(OSError):  # the socket may be closed by now
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
