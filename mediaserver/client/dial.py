"""Dialling a media stream: the upgrade, its refusal in the server's own words, and the transport beneath."""

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import quote, quote_plus

import aiohttp
from yarl import URL

from mediaserver.errors import PeerError, one_line, plainly
from mediaserver.support.credentials import without_secrets
from mediaserver.support.http_connector import Connector
from mediaserver.transport.connection import CLOSE_TIMEOUT
from mediaserver.transport.dialled import OpenWebSocket

_REFUSAL_LETTERS = 300
_MAX_MESSAGE = 64 * 1024  # bytes; a frame is 332 at most
_SWITCHING_PROTOCOLS = 101
_CONNECT_TIMEOUT, _ANSWER_TIMEOUT = 10.0, 15.0
_CREDENTIALS = ("token", "accesskey", "sig")  # parameters of a URL: VoIPBIN's two, and that of links we sign


class UpgradeRefusedError(PeerError):
    """A server that we dialled refused the WebSocket upgrade: HTTP `status`, and the text of its answer in a line.

    `retry_after` has the seconds for which the server asked us to wait, None where it did not.
    """

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(one_line(message))
        self.status, self.retry_after = status, retry_after


class NotHttpError(PeerError):
    """What answers does not speak HTTP."""


class _Nowhere:
    """Where a stream sends before it is connected: nothing comes this way."""

    def write(self, data: bytes) -> None:
        raise ConnectionError("not connected")

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return True


NOWHERE = _Nowhere()


def client_session() -> aiohttp.ClientSession:
    """A session whose WebSockets are `OpenWebSocket`s, and whose refusals keep what the server said."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT)
    return aiohttp.ClientSession(
        connector=Connector(),
        ws_response_class=OpenWebSocket,
        timeout=timeout,
        middlewares=(_keep_refusal,),
    )


async def _keep_refusal(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    response = await handler(request)
    if response.status != _SWITCHING_PROTOCOLS:
        text = (await response.content.read(_MAX_MESSAGE)).decode(errors="replace")
        response.close()
        for word in _private(request.url):  # servers like to show what was asked for
            text = text.replace(word, "…")
        text = " ".join(text.split())[:_REFUSAL_LETTERS]
        raise UpgradeRefusedError(
            response.status,
            text or response.reason or "refused",
            retry_after=seconds_to_wait(response.headers, time.time()),
        )
    return response


def _private(url: URL) -> list[str]:
    """What must not be shown of a URL, as it may be written: its password, its query, the credentials in it."""
    ways = {url.raw_query_string, url.query_string, url.raw_password or "", url.password or ""}
    for name in _CREDENTIALS:
        for secret in url.query.getall(name, ()):
            ways |= {secret, quote(secret, safe=""), quote_plus(secret), quote(secret)}
    return sorted(ways - {""}, key=len, reverse=True)


def seconds_to_wait(headers: Mapping[str, str], now: float) -> float | None:
    """What `Retry-After` says (RFC 9110, section 10.2.3); None where it is not there, or says nothing known.

    A moment is one by the server's clock, which `Date` tells; `now` is ours, for a server that does not tell.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    then, there = _moment(text), _moment(headers.get("Date", ""))
    if then is None:
        return None
    return max(0.0, then - (now if there is None else there))


def _moment(text: str) -> float | None:
    """An HTTP date as Unix seconds; None where it is none."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()


async def dial(client: aiohttp.ClientSession, url: str, autoping: bool = True) -> OpenWebSocket:
    """Open a media stream. UpgradeRefusedError where the server turns it down, PeerError where none answers.

    `http` and `https` are other names of the schemes `ws` and `wss`.
    """
    if url.startswith(("http://", "https://")):
        url = f"ws{url.removeprefix('http')}"
    if not url.startswith(("ws://", "wss://")):
        raise PeerError("a media stream's URL begins with ws:// or wss://")
    try:
        async with asyncio.timeout(_ANSWER_TIMEOUT):
            websocket = await client.ws_connect(
                url,
                compress=0,
                max_msg_size=_MAX_MESSAGE,
                autoping=autoping,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_TIMEOUT),
            )
    except aiohttp.WSServerHandshakeError as error:
        raise PeerError(
            f"the server's upgrade is wrong: {error.message}"
        ) from None  # it knows the URL, and the credential
    except aiohttp.InvalidURL:
        raise PeerError("cannot connect: that is no URL") from None
    except aiohttp.ClientResponseError:
        raise NotHttpError("cannot connect: the answer is not HTTP") from None
    except aiohttp.ClientSSLError as error:
        raise PeerError(f"cannot connect by TLS: {error.os_error.strerror or error.os_error}") from error
    except aiohttp.ClientConnectorError as error:
        raise PeerError(f"cannot connect: {plainly(error.os_error)}") from error
    except TimeoutError as error:
        raise PeerError(f"no answer to the handshake within {_ANSWER_TIMEOUT:g} s") from error
    except (aiohttp.ClientError, OSError) as error:
        raise PeerError(f"cannot connect: {without_secrets(plainly(error))}") from None  # they may show the URL
    assert isinstance(websocket, OpenWebSocket)  # noqa: S101 - the session makes no others
    return websocket
