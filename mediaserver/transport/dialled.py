"""WebSockets that this server dials: the client session, opening, why opening failed, and pings.

Media is sent over these WebSockets as whole masked messages, which are written to the transport directly.
"""

import asyncio
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from http import HTTPStatus
from typing import Any, Literal

import aiohttp
from aiohttp import ClientWebSocketResponse
from multidict import CIMultiDictProxy

from mediaserver.errors import PeerError, error_text
from mediaserver.support.aiohttp_adapter import transport_of
from mediaserver.support.http_connector import Connector
from mediaserver.support.tls_errors import describe_tls_error, is_not_tls, is_untrusted
from mediaserver.wire.websocket import MASK_BYTES


class OpenWebSocket(ClientWebSocketResponse[Literal[True]]):
    """A client's WebSocket with its `transport`, to which messages are written, and which counts unsent bytes."""

    def __init__(
        self, reader: Any, writer: Any, protocol: str | None, response: Any, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(reader, writer, protocol, response, *args, **kwargs)
        self.transport: asyncio.Transport = transport_of(response)


class UpgradeResponse(aiohttp.ClientResponse):
    """An HTTP response whose `Connection` header is "upgrade" if the list in that header contains this token.

    RFC 6455, section 4.1, asks for the token, and RFC 9110, section 7.6.1, has a list there, to which proxies add.
    aiohttp 3.14 refuses a WebSocket if the list has any other token, such as in `keep-alive, Upgrade`.
    """

    @property
    def headers(self) -> CIMultiDictProxy[str]:
        headers = super().headers
        tokens = ",".join(headers.getall("Connection", ())).lower().split(",")
        if self.status != HTTPStatus.SWITCHING_PROTOCOLS or "upgrade" not in map(str.strip, tokens):
            return headers
        upgraded = headers.copy()
        upgraded["Connection"] = "upgrade"
        return CIMultiDictProxy(upgraded)


def _random_keys() -> Iterator[bytes]:
    while True:
        # Many masking keys at once, because a system call for each would cost more than masking.
        block = os.urandom(1024)
        yield from (block[at : at + MASK_BYTES] for at in range(0, len(block), MASK_BYTES))


# Returns a masking key: four unpredictable bytes (RFC 6455, section 10.3).
random_key: Callable[[], bytes] = _random_keys().__next__


def client_session(
    *,
    headers: Mapping[str, str] | None = None,
    cookie_jar: aiohttp.abc.AbstractCookieJar | None = None,
    connect_timeout: float | None = None,
    middlewares: Sequence[aiohttp.ClientMiddlewareType] = (),
) -> aiohttp.ClientSession:
    """An aiohttp client session that opens WebSockets as `OpenWebSocket`.

    Connecting to one address may take `connect_timeout` seconds; `open_websocket` limits the whole handshake.
    """
    return aiohttp.ClientSession(
        connector=Connector(),
        cookie_jar=cookie_jar,
        headers=headers,
        middlewares=middlewares,
        response_class=UpgradeResponse,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout),
        ws_response_class=OpenWebSocket,
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
    close_timeout: float,
    max_message_bytes: int,
    headers: Mapping[str, str] | None = None,
    autoping: bool = False,
) -> OpenWebSocket:
    """Open a WebSocket within `timeout` seconds. If that fails, raise the error that `to_error` makes of the
    failure.

    aiohttp's error is not kept as the cause, because its traceback would show the whole URL, with credentials.
    A later close waits `close_timeout` seconds for the answer to the sent close frame.
    """
    try:
        async with asyncio.timeout(timeout):
            websocket = await client.ws_connect(
                url,
                headers=headers,
                compress=0,
                max_msg_size=max_message_bytes,
                autoping=autoping,
                timeout=aiohttp.ClientWSTimeout(ws_close=close_timeout),
            )
    except (aiohttp.ClientError, OSError, ValueError) as error:  # ValueError: an invalid URL or host name
        raise to_error(_classify(error)) from None
    assert isinstance(websocket, OpenWebSocket)  # noqa: S101 - `client_session` makes no other WebSockets
    return websocket


def _classify(error: Exception) -> DialFailure:
    if isinstance(error, aiohttp.WSServerHandshakeError):
        return DialFailure(DialFailureKind.REFUSED, error.message, error.status)
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


class DialledConnection:
    """A WebSocket that this server dialled, with its transport and its pings. Subclasses read and write it."""

    def __init__(self, websocket: OpenWebSocket) -> None:
        self._websocket, self.transport = websocket, websocket.transport
        self._ping_payload = b""
        self._pong_received = asyncio.Event()

    async def _ping(self, payload: bytes, timeout: float) -> bool:
        """Send a ping, and wait for its pong; False if no pong comes within `timeout` seconds.

        ConnectionError if the connection is closed. If `payload` is empty, any pong counts as the answer.
        """
        self._ping_payload = payload
        self._pong_received.clear()
        try:
            async with asyncio.timeout(timeout):
                await self._websocket.ping(payload)
                await self._pong_received.wait()
        except TimeoutError:
            return False
        return True

    def _on_pong(self, payload: bytes) -> None:
        if not self._ping_payload or payload == self._ping_payload:
            self._pong_received.set()
