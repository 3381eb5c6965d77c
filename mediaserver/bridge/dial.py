"""Dialling an application: its WebSocket, or why there is none. Hosts are named, URLs never."""

import asyncio
import socket
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from mediaserver import __version__
from mediaserver.errors import PeerError, plainly
from mediaserver.events.post import host_of
from mediaserver.support.http_connector import Connector
from mediaserver.transport.dialled import OpenWebSocket

_MAX_MESSAGE = 1 << 19  # bytes: half a minute of PCM at once
_SEND_BUFFER = 16 * 1024  # bytes in the kernel, doubled by Linux: what waits there is late already
_CLOSE_TIMEOUT = 2.0  # seconds for the answer to our close
_LATER = {408, 425, 429}  # statuses that mean to try again, beside 500 and up


class FinalError(PeerError):
    """To dial again would not help."""


@dataclass(frozen=True, slots=True)
class Target:
    """An application, and how long it has for what. The URL and the token are never shown."""

    url: str = field(repr=False)
    token: str = field(default="", repr=False)
    connect_timeout: float = 5.0  # seconds for one attempt
    reconnect_timeout: float = 10.0  # seconds of attempts until it is given up

    @property
    def host(self) -> str:
        """Host and port: all that may be shown."""
        return host_of(self.url)


def client_session() -> aiohttp.ClientSession:
    """A session whose WebSockets are `OpenWebSocket`s."""
    return aiohttp.ClientSession(
        connector=Connector(),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"mediaserver/{__version__}"},
        timeout=aiohttp.ClientTimeout(total=None),
        trust_env=False,
        ws_response_class=OpenWebSocket,
    )


async def dial(client: aiohttp.ClientSession, target: Target) -> OpenWebSocket:
    """Open a WebSocket; PeerError, of one plain line, where there is none, FinalError where none is to be had."""
    try:
        async with asyncio.timeout(target.connect_timeout):
            websocket = await client.ws_connect(
                target.url,
                headers={"Authorization": f"Bearer {target.token}"} if target.token else None,
                compress=0,
                max_msg_size=_MAX_MESSAGE,
                autoping=False,
                timeout=aiohttp.ClientWSTimeout(ws_close=_CLOSE_TIMEOUT),
            )
        connection: Any = websocket.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: InvalidURL, and of names
        # Without its cause, which may show the whole URL, as a traceback would.
        raise _plain(error, target) from None
    assert isinstance(websocket, OpenWebSocket)  # noqa: S101 - the session makes no others
    return websocket


def _plain(error: Exception, target: Target) -> PeerError:
    """What a library raised, in our own words."""
    host = target.host
    if isinstance(error, aiohttp.WSServerHandshakeError):
        later = error.status in _LATER or error.status >= 500
        return (PeerError if later else FinalError)(f"{host}: refused with HTTP status {error.status}")
    if isinstance(error, TimeoutError):
        return PeerError(f"{host}: no answer within {target.connect_timeout:g} s")
    if isinstance(error, aiohttp.ClientSSLError):
        return PeerError(f"{host}: cannot connect by TLS: {error.os_error.strerror or error.os_error}")
    if isinstance(error, aiohttp.ClientConnectorError):
        return PeerError(f"{host}: cannot connect: {plainly(error.os_error)}")
    if isinstance(error, ValueError):  # not before: a certificate's is one, too
        return FinalError("that is no URL with ws:// or wss://")
    if isinstance(error, aiohttp.ClientResponseError):
        return PeerError(f"{host}: the answer is not HTTP")
    return PeerError(f"{host}: the connection broke off amid the handshake")
