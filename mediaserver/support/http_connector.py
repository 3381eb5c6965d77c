"""Connections of an HTTP client that are closed when it says so."""

import asyncio
import contextlib
import socket
import weakref
from functools import partial
from typing import Any

from mediaserver.support.aiohttp_adapter import TracebackFreeConnector

_GOODBYE = 1.0  # seconds that TLS has for its own


class Connector(TracebackFreeConnector):
    """aiohttp's, with as many connections as are asked for. When it is closed, so are its sockets.

    aiohttp's own has TLS say goodbye behind our back, for as long as a peer takes to answer: a loop that ends
    meanwhile leaves the socket open.
    """

    def __init__(self, **options: Any) -> None:
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        # Not by a method of ours, which would hold us in a cycle.
        super().__init__(limit=0, socket_factory=partial(_make, self._sockets), **options)

    async def close(self, *, abort_ssl: bool = False) -> None:
        """Close all connections; who does not let go of one is left."""
        await super().close(abort_ssl=abort_ssl)
        if await self._closed_within(_GOODBYE):
            return
        for each in self._open():
            with contextlib.suppress(OSError):  # it may be gone by now
                each.shutdown(socket.SHUT_RDWR)
        await self._closed_within(_GOODBYE)

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


def _make(sockets: "weakref.WeakSet[socket.socket]", address: Any) -> socket.socket:
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    sockets.add(made)
    return made
