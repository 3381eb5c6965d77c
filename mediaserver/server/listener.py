"""The public port: its sockets, and how they are let go of without losing a call that has just come."""

import asyncio
import contextlib
import socket
import ssl

from aiohttp import web

from mediaserver.errors import ConfigError, plainly

_BACKLOG = 4096


class Listener:
    """Listens for connections, and gives each a protocol that `server` makes."""

    def __init__(
        self, server: web.Server, tls: ssl.SSLContext | None = None, handshake_timeout: float | None = None
    ) -> None:
        self._server = server
        self._tls, self._handshake_timeout = tls, handshake_timeout if tls else None
        self._sockets: list[socket.socket] = []
        self._listening: list[asyncio.Server] = []

    async def open(self, host: str, port: int, where: str, *, reuse_port: bool = False) -> int:
        """Listen on all addresses of `host`; the port, which the system chooses for 0.

        ConfigError, with `where` in front, where it cannot.
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
            for listening in self._sockets:
                self._listening.append(
                    await loop.create_server(
                        self._server,
                        sock=listening,
                        backlog=_BACKLOG,
                        ssl=self._tls,
                        ssl_handshake_timeout=self._handshake_timeout,
                    )
                )
        except (OSError, UnicodeError) as error:  # a host name may be none by its letters
            raise ConfigError([f"{where}: cannot listen on {host}:{port}: {plainly(error)}"]) from error
        return int(self._sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Take in the connections that wait to be accepted, and listen no more.

        Those that are left in the queue of a socket that is closed would be reset. With `reuse_port` the system
        sends all later ones to the process beside this one.
        """
        waiting = []
        for listening in self._sockets:
            with contextlib.suppress(OSError):  # there are no more
                while True:
                    waiting.append(listening.accept()[0])
        for server in self._listening:
            server.close()
        self._sockets.clear()
        self._listening.clear()
        loop = asyncio.get_running_loop()
        for connection in waiting:
            with contextlib.suppress(OSError):  # gone again
                await loop.connect_accepted_socket(
                    self._server, connection, ssl=self._tls, ssl_handshake_timeout=self._handshake_timeout
                )
