"""Dials a media stream of VoIPBIN, or of any media server. If the server refuses, the error quotes its answer."""

import time
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import partial
from urllib.parse import quote, quote_plus

import aiohttp
from yarl import URL

from mediaserver.errors import PeerError, single_line
from mediaserver.support.credentials import redact_urls
from mediaserver.transport import dialled
from mediaserver.transport.dialled import DialFailure, DialFailureKind, OpenWebSocket
from mediaserver.transport.held_writes import HeldWrites

_MAX_REFUSAL = 300  # the maximum number of characters kept of a server's answer that refuses a stream
_MAX_MESSAGE_BYTES = 64 * 1024  # the maximum size of a message; a frame's message has at most 332 bytes
_SWITCHING_PROTOCOLS = 101
_CONNECT_TIMEOUT, _ANSWER_TIMEOUT = 10.0, 15.0  # time limits in seconds: to connect, and for the whole handshake
# The secret parameters in the query of a URL: two of VoIPBIN's API, and the signature in links of this server.
_CREDENTIAL_PARAMETERS = ("token", "accesskey", "sig")


class UpgradeRefusedError(PeerError):
    """A server that was dialled refused the WebSocket upgrade.

    `status` is the HTTP status, and the error's message is the text of the answer in one line. `retry_after` is
    the number of seconds for which the server asks the client to wait; None if it does not ask.
    """

    def __init__(self, status: int, message: str, retry_after: float | None = None) -> None:
        super().__init__(single_line(message))
        self.status, self.retry_after = status, retry_after


class NotHttpError(PeerError):
    """The server that answers does not speak HTTP."""


class _NotConnectedTransport:
    """The transport of a stream that has no connection yet. It takes no data."""

    def write(self, data: bytes) -> None:
        raise ConnectionError("not connected")

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return True


NOT_CONNECTED = _NotConnectedTransport()


def client_session(writes: HeldWrites | None = None) -> aiohttp.ClientSession:
    """An HTTP session that dials media streams, and raises UpgradeRefusedError if a server refuses.

    What is sent by TLS is held by `writes`, if that is given.
    """
    return dialled.client_session(connect_timeout=_CONNECT_TIMEOUT, middlewares=(_raise_refusal,), writes=writes)


async def _raise_refusal(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    response = await handler(request)
    if response.status != _SWITCHING_PROTOCOLS:
        text = (await response.content.read(_MAX_MESSAGE_BYTES)).decode(errors="replace")
        response.close()
        for secret in _secrets(request.url):  # a server's answer often repeats the requested URL
            text = text.replace(secret, "…")
        text = " ".join(text.split())[:_MAX_REFUSAL]
        raise UpgradeRefusedError(
            response.status,
            text or response.reason or "refused",
            retry_after=seconds_to_wait(response.headers, time.time()),
        )
    return response


def _secrets(url: URL) -> list[str]:
    """The secrets in a URL (password, query, credentials), each with and without percent-encoding."""
    secrets = {url.raw_query_string, url.query_string, url.raw_password or "", url.password or ""}
    for name in _CREDENTIAL_PARAMETERS:
        for secret in url.query.getall(name, ()):
            secrets |= {secret, quote(secret, safe=""), quote_plus(secret), quote(secret)}
    return sorted(secrets - {""}, key=len, reverse=True)


def seconds_to_wait(headers: Mapping[str, str], now: float) -> float | None:
    """The seconds to wait that `Retry-After` asks for (RFC 9110, 10.2.3); None if it is missing or invalid.

    A date in `Retry-After` is compared with the server's clock, which the header `Date` shows. Without `Date`, it
    is compared with this machine's clock, `now`, in Unix seconds.
    """
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    until, server_now = _parse_date(text), _parse_date(headers.get("Date", ""))
    if until is None:
        return None
    return max(0.0, until - (now if server_now is None else server_now))


def _parse_date(text: str) -> float | None:
    """An HTTP date in Unix seconds; None if it is invalid."""
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()


async def dial(client: aiohttp.ClientSession, url: str, autoping: bool = True) -> OpenWebSocket:
    """Open a media stream. UpgradeRefusedError if the server refuses it, PeerError for any other failure.

    The URL may also begin with http:// or https://, which stand for ws:// and wss://.
    """
    if url.startswith(("http://", "https://")):
        url = f"ws{url.removeprefix('http')}"
    if not url.startswith(("ws://", "wss://")):
        raise PeerError("a media stream's URL begins with ws:// or wss://")
    return await dialled.open_websocket(
        client,
        url,
        partial(_to_error, is_tls=url.startswith("wss://")),
        timeout=_ANSWER_TIMEOUT,
        max_message_bytes=_MAX_MESSAGE_BYTES,
        autoping=autoping,
    )


def _to_error(failure: DialFailure, is_tls: bool) -> PeerError:
    match failure.kind:
        case DialFailureKind.REFUSED:  # the status is 101, because `_raise_refusal` raises for any other status
            return PeerError(f"the server's upgrade is wrong: {failure.text}")
        case DialFailureKind.TIMEOUT:
            return PeerError(f"no answer to the handshake within {_ANSWER_TIMEOUT:g} s")
        case DialFailureKind.INVALID_URL:
            return PeerError("cannot connect: the URL is invalid")
        case DialFailureKind.NOT_HTTP:
            return NotHttpError(f"cannot connect: {failure.text}")
        case DialFailureKind.BROKEN:
            hint = "" if is_tls else ": if TLS is spoken there, dial it by wss://"
            return PeerError(f"cannot connect: {redact_urls(failure.text)}{hint}")
        case DialFailureKind.NOT_TLS:
            return PeerError(f"{failure.text}: dial it by ws://")
        case DialFailureKind.UNTRUSTED:
            return PeerError(f"{failure.text}. SSL_CERT_FILE can name a file with the authority to trust")
    return PeerError(failure.text)
