"""A listening port: its sockets, and how they are closed without losing a call that has just connected."""

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple

import structlog

from mediaserver.errors import ConfigError, error_text

_BACKLOG = 4096  # the most connections that the kernel holds until we accept them
_POLL_INTERVAL = 0.1  # seconds between two checks whether there is room for connections again

log = structlog.get_logger()


class AddressKeys(NamedTuple):
    """The names of a listener's host and port settings in error messages, such as "config.toml: server.port"."""

    host: str
    port: str


class Listener:
    """Accepts connections on a port. `protocol_factory` makes the asyncio protocol of each connection.

    While `has_room` returns False, no connections are accepted. They wait in the kernel's backlog.
    """

    def __init__(
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        has_room: Callable[[], bool] = lambda: True,
    ) -> None:
        self._protocol_factory, self._has_room = protocol_factory, has_room
        self._sockets: list[socket.socket] = []
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self, host: str, port: int, keys: AddressKeys, *, reuse_port: bool = False) -> int:
        """Listen on all addresses of `host`. Returns the port, which the system chooses if `port` is 0.

        ConfigError, which begins with the setting to change, if the port cannot be listened on.
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
            await self._start_accepting()
        except (OSError, UnicodeError) as error:  # UnicodeError: `host` has characters that a name cannot have
            raise ConfigError([_explain(error, host, port, keys)]) from error
        return int(self._sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Accept the connections that wait in the backlog, and listen no more.

        The kernel would reset the connections that are left in the backlog of a closed socket. With `reuse_port`,
        the kernel sends later connections to the other process that listens on this port.
        """
        for task in self._tasks:
            task.cancel()
        self._stop_accepting()
        waiting = []
        for listening in self._sockets:
            waiting += _accept_backlog(listening)
            listening.close()  # at once, because a connection that comes between these two lines is reset
        self._sockets.clear()
        for connection in waiting:
            self._start_task(self._serve(connection))
        await asyncio.sleep(0)  # each connection has its protocol after this turn of the event loop

    async def _start_accepting(self) -> None:
        for listening in self._sockets:
            server = await asyncio.get_running_loop().create_server(
                self._make_protocol, sock=listening.dup(), backlog=_BACKLOG
            )
            self._servers.append(server)

    def _stop_accepting(self) -> None:
        for server in self._servers:
            server.close()
        self._servers.clear()

    def _make_protocol(self) -> asyncio.BaseProtocol:
        protocol = self._protocol_factory()
        if not self._has_room():
            asyncio.get_running_loop().call_soon(self._pause_accepting)
        return protocol

    def _pause_accepting(self) -> None:
        """Accept no connections until there is room for them again."""
        if self._servers:
            self._stop_accepting()
            self._start_task(self._wait_for_room())

    async def _wait_for_room(self) -> None:
        while True:
            await asyncio.sleep(_POLL_INTERVAL)
            if self._has_room():
                try:
                    await self._start_accepting()
                except OSError as error:  # other code has taken the free file descriptors meanwhile
                    log.warning("listener resume failed", why=error_text(error))
                    self._stop_accepting()
                else:
                    return

    async def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError):  # the peer may have closed the connection already
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol_factory, connection)

    def _start_task(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _explain(error: Exception, host: str, port: int, keys: AddressKeys) -> str:
    """Why a port cannot be listened on, and what to change."""
    number = error.errno if isinstance(error, OSError) else None
    key, advice = keys.host, "name an address of this machine, or 0.0.0.0 for all of them"
    if number == errno.EADDRINUSE:
        key, advice = keys.port, "stop the program that listens there, or choose another port"
    elif number == errno.EACCES:
        key, advice = keys.port, "choose a port from 1024 up, or let this user have lower ones"
    return f"{key}: cannot listen on {host}:{port}: {error_text(error)}: {advice}"


def _accept_backlog(listening: socket.socket) -> list[socket.socket]:
    """Accept all connections that wait in a socket's backlog, and return them."""
    waiting = []
    while True:
        try:
            waiting.append(listening.accept()[0])
        except OSError as error:
            if error.errno != errno.ECONNABORTED:  # ECONNABORTED: this peer is gone, but more may wait
                return waiting
