"""WebSockets that this server dials: the client session, the handshake, and why it failed."""

import asyncio
import base64
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from http import HTTPStatus

import aiohttp
from aiohttp import WebSocketError, WSMessage, WSMsgType

from mediaserver.errors import PeerError, error_text
from mediaserver.support.aiohttp_adapter import detach_connection
from mediaserver.support.http_connector import Connector
from mediaserver.support.tls_errors import describe_tls_error, is_not_tls, is_untrusted
from mediaserver.transport.client_tls import begin_tls
from mediaserver.transport.held_writes import HeldWrites
from mediaserver.transport.websocket_connection import WebSocketConnection
from mediaserver.wire import websocket


class OpenWebSocket(WebSocketConnection):
    """A WebSocket that this server has dialled. With `autoping`, `receive` answers pings by itself."""

    __slots__ = ("_autoping",)

    def __init__(self, transport: asyncio.Transport, max_message_bytes: int, *, autoping: bool) -> None:
        super().__init__(transport, max_message_bytes, is_client=True)
        self._autoping = autoping

    async def receive(self) -> WSMessage:
        """Wait for the peer's next message, and return it. If the peer breaks the protocol, close the connection.

        The message's type is then ERROR.
        """
        while True:
            message = await super().receive()
            if self._autoping and message.type is WSMsgType.PING:
                await self.pong(message.data)
            elif self._autoping and message.type is WSMsgType.PONG:
                self.on_pong(message.data)
            else:
                break
        if isinstance(error := message.data, WebSocketError):
            self.fail(error.code)
        return message


def client_session(
    *,
    headers: Mapping[str, str] | None = None,
    cookie_jar: aiohttp.abc.AbstractCookieJar | None = None,
    connect_timeout: float | None = None,
    middlewares: Sequence[aiohttp.ClientMiddlewareType] = (),
    writes: HeldWrites | None = None,
) -> aiohttp.ClientSession:
    """An aiohttp client session for `open_websocket`.

    Connecting to one address may take `connect_timeout` seconds; `open_websocket` limits the whole handshake. What
    is sent by TLS is held by `writes`, if that is given.
    """
    return aiohttp.ClientSession(
        connector=Connector(begin_tls=partial(begin_tls, writes=writes or HeldWrites())),
        cookie_jar=cookie_jar,
        headers=headers,
        middlewares=middlewares,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout),
    )


class DialFailureKind(Enum):
    """The kinds of reasons why a WebSocket could not be opened."""

    REFUSED = auto()  # the peer's HTTP answer is no valid upgrade to a WebSocket
    TIMEOUT = auto()
    TLS = auto()
    UNTRUSTED = auto()  # no authority that is trusted has signed the peer's certificate, or it is for another name
    NOT_TLS = auto()
    UNREACHABLE = auto()
    INVALID_URL = auto()
    NOT_HTTP = auto()
    BROKEN = auto()  # the connection broke during the handshake


@dataclass(frozen=True, slots=True)
class DialFailure:
    """Why a WebSocket could not be opened: `text` is one line.

    The text of the kind BROKEN may contain the URL, and so a secret. The texts of all other kinds do not.
    """

    kind: DialFailureKind
    text: str
    status: int = 0  # status of the HTTP answer if `kind` is REFUSED


async def open_websocket(
    client: aiohttp.ClientSession,
    url: str,
    to_error: Callable[[DialFailure], PeerError],
    *,
    timeout: float,
    max_message_bytes: int,
    headers: Mapping[str, str] | None = None,
    autoping: bool = False,
) -> OpenWebSocket:
    """Open a WebSocket within `timeout` seconds. If that fails, raise the error that `to_error` makes of the
    failure.

    aiohttp makes the connection, with TLS, and sends the request. The connection then leaves aiohttp. aiohttp's
    error is not kept as the cause, because its traceback would show the whole URL, with credentials.
    """
    key = base64.b64encode(os.urandom(websocket.KEY_BYTES)).decode()
    upgrade = {
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": key,
        "Sec-WebSocket-Version": "13",
        "Upgrade": "websocket",
    }
    early: list[bytes] = []  # bytes that the peer has sent right behind its answer
    try:
        async with asyncio.timeout(timeout):
            response = await client.get(url, headers={**(headers or {}), **upgrade}, read_until_eof=False)
        if why := _why_no_upgrade(response, key):
            response.close()
            raise to_error(DialFailure(DialFailureKind.REFUSED, why, response.status)) from None
        transport = detach_connection(response, early.append)
    except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: an invalid URL or host name
        raise to_error(_classify(error)) from None
    opened = OpenWebSocket(transport, max_message_bytes, autoping=autoping)
    for data in early:
        opened.data_received(data)
    return opened


def _why_no_upgrade(response: aiohttp.ClientResponse, key: str) -> str:
    """Why a response is not the upgrade to a WebSocket that the request with `key` asks for; "" if it is.

    RFC 6455, section 4.1. `Connection` is a list (RFC 9110, section 7.6.1), to which proxies add.
    """
    headers = response.headers
    if response.status != HTTPStatus.SWITCHING_PROTOCOLS:
        return "Invalid response status"
    if headers.get("Upgrade", "").lower() != "websocket":
        return "Invalid upgrade header"
    tokens = ",".join(headers.getall("Connection", ())).lower().split(",")
    if "upgrade" not in map(str.strip, tokens):
        return "Invalid connection header"
    if headers.get("Sec-WebSocket-Accept", "") != websocket.accept_key(key):
        return "Invalid challenge response"
    return ""


def _classify(error: Exception) -> DialFailure:
    if isinstance(error, TimeoutError):
        return DialFailure(DialFailureKind.TIMEOUT, "no answer in time")
    if isinstance(error, aiohttp.ClientSSLError):
        kind = DialFailureKind.UNTRUSTED if is_untrusted(error) else DialFailureKind.TLS
        kind = DialFailureKind.NOT_TLS if is_not_tls(error) else kind
        return DialFailure(kind, f"cannot connect by TLS: {describe_tls_error(error)}")
    if isinstance(error, aiohttp.ClientConnectorError):
        return DialFailure(DialFailureKind.UNREACHABLE, f"cannot connect: {error_text(error.os_error)}")
    if isinstance(error, ValueError):  # tested after errors of TLS, because an invalid certificate is a ValueError
        return DialFailure(DialFailureKind.INVALID_URL, "the URL is invalid")
    if isinstance(error, aiohttp.ClientResponseError):
        return DialFailure(DialFailureKind.NOT_HTTP, "the answer is not HTTP")
    if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientConnectionResetError):
        return DialFailure(DialFailureKind.BROKEN, "the server closed the connection without an answer")
    return DialFailure(DialFailureKind.BROKEN, error_text(error))
