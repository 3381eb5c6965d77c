"""A port that is listened on: its sockets, and how they are let go of without losing a call that has just come."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import structlog

from mediaserver.errors import ConfigError, plainly

_BACKLOG = 4096
_LOOK = 0.1  # seconds between looks whether there is room again

log = structlog.get_logger()


class Keys(NamedTuple):
    """The settings of a listener, as messages name them."""

    host: str
    port: str


class Listener:
    """Listens for connections, and gives each a protocol that `server` makes.

    While there is no `room` it accepts none: they wait in the queue of the system.
    """

    def __init__(
        self,
        server: Callable[[], asyncio.BaseProtocol],
        room: Callable[[], bool] = lambda: True,
    ) -> None:
        self._server, self._room = server, room
        self._sockets: list[socket.socket] = []
        self._accepting: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int, keys: Keys, *, reuse_port: bool = False) -> int:
        """Listen on all addresses of `host`; the port, which the system chooses for 0.

        ConfigError, with the key to change in front, where it cannot.
        """
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
            for family, _, _, _, address in dict.fromkeys(found):
                listening = socket.create_server(
                    address[:2], family=family, backlog=_BACKLOG, reuse_port=reuse_port
                )
                listening.setblocking(False)
                self._sockets.append(listening)
            await self._accept()
        except (OSError, UnicodeError) as error:  # a host name may be none by its letters
            raise ConfigError([_why(error, host, port, keys)]) from error
        return int(self._sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take in the connections that wait to be accepted, and listen no more.

        Those that are left in the queue of a socket that is closed would be reset. With `reuse_port` the system
        sends all later ones to the process beside this one.
        """
        for task in self._tasks:
            task.cancel()
        waiting = [connection for listening in self._sockets for connection in _queue_of(listening)]
        self._pause()
        for listening in self._sockets:
            listening.close()
        self._sockets.clear()
        for connection in waiting:
            self._spawn(self._take(connection))
        await asyncio.sleep(0)  # by then each has its protocol

    async def _accept(self) -> None:
        for listening in self._sockets:
            server = await asyncio.get_running_loop().create_server(
                self._accepted, sock=listening.dup(), backlog=_BACKLOG
            )
            self._accepting.append(server)

    def _pause(self) -> None:
        for server in self._accepting:
            server.close()
        self._accepting.clear()

    def _accepted(self) -> asyncio.BaseProtocol:
        protocol = self._server()
        if not self._room():
            asyncio.get_running_loop().call_soon(self._hold)
        return protocol

    def _hold(self) -> None:
        """Accept none until there is room again."""
        if self._accepting:
            self._pause()
            self._spawn(self._wait_for_room())

    async def _wait_for_room(self) -> None:
        while True:
            await asyncio.sleep(_LOOK)
            if self._room():
                try:
                    await self._accept()
                except OSError as error:  # somebody else took the descriptors
                    log.warning("cannot accept connections yet", why=plainly(error))
                    self._pause()
                else:
                    return

    async def _take(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # gone again
            await asyncio.get_running_loop().connect_accepted_socket(self._server, connection)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _why(error: Exception, host: str, port: int, keys: Keys) -> str:
    """Why a port cannot be listened on, and what to change."""
    number = error.errno if isinstance(error, OSError) else None
    key, advice = keys.host, "name an address of this machine, or 0.0.0.0 for all of them"
    if number == errno.EADDRINUSE:
        key, advice = keys.port, "end what listens there, or choose another port"
    elif number == errno.EACCES:
        key, advice = keys.port, "choose a port from 1024 up, or let this user have lower ones"
    return f"{key}: cannot listen on {host}:{port}: {plainly(error)}: {advice}"


def _queue_of(listening: socket.socket) -> list[socket.socket]:
    """The connections that wait to be accepted."""
    waiting = []
    while True:
        try:
            waiting.append(listening.accept()[0])
        except OSError as error:
            if error.errno != errno.ECONNABORTED:  # that one is gone; the next may not be
                return waiting
