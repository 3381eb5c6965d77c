"""One HTTP request to the operator's own backend, signed, bounded, and spoken of without its URL.

Errors and log lines name the host alone, as the rest of a URL may hold a token; the words of libraries, which may
repeat it, are left out of both.
"""

import asyncio
import hashlib
import hmac
import time
from urllib.parse import urlsplit

import aiohttp

from mediaserver import __version__
from mediaserver.errors import WebhookError, plainly
from mediaserver.support.http_connector import Connector

ANSWER_BYTES = 64 * 1024
_KEEP_ALIVE = 1.5  # seconds; common servers close an idle connection after 2 or 5, maybe under our next request
_LATER = frozenset({408, 425, 429})  # and 5xx: statuses that another time may be others


class TryAgainError(WebhookError):
    """It may go better another time, but the backend may have acted on this one already."""


class UnsentError(TryAgainError):
    """No connection came about, so the backend cannot have seen the request."""


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The value of `X-Mediaserver-Signature`.

    A receiver verifies the body as it came, before it parses it:

        timestamp = request.headers["X-Mediaserver-Timestamp"]
        expected = "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, "sha256").hexdigest()
        genuine = hmac.compare_digest(expected, request.headers["X-Mediaserver-Signature"])
        fresh = abs(time.time() - int(timestamp)) < 300

    What is genuine but not fresh may be an old request that somebody sends again.
    """
    return "sha256=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


class Poster:
    """Posts JSON, each request signed where there is a secret."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Nothing can be posted after."""
        await self._session().close()  # made if need be, so that none is made after

    async def post(self, url: str, kind: str, body: bytes, limit: float) -> bytes:
        """One attempt within so many seconds: the answer's body, or WebhookError."""
        client, host, status = self._session(), host_of(url), None
        if client.closed:
            raise WebhookError(f"{host}: not asked, shutting down")
        headers = self._headers(kind, body)
        try:
            async with (
                asyncio.timeout(limit),
                client.post(url, data=body, headers=headers, allow_redirects=False) as answer,
            ):
                status = answer.status
                good = 200 <= status < 300
                text = await _read(answer.content) if good else b""  # a refusal stands whatever comes with it
        except (aiohttp.ClientError, OSError, UnicodeError) as error:  # Unicode: of a name no resolver takes
            # Without its cause: InvalidURL, for one, shows the whole URL, and a traceback would show the cause.
            raise _plain(error, host, limit, status) from None
        if not good:
            refusal = TryAgainError if status in _LATER or status >= 500 else WebhookError
            moved = ": redirects are not followed" if 300 <= status < 400 else ""
            raise refusal(f"{host}: HTTP status {status}{moved}", status)
        if text is None:
            raise WebhookError(f"{host}: the answer is longer than {ANSWER_BYTES // 1024} KB", status)
        return text

    def _headers(self, kind: str, body: bytes) -> dict[str, str]:
        timestamp = str(int(time.time()))
        headers = {"Content-Type": "application/json", "X-Mediaserver-Event": kind}
        headers["X-Mediaserver-Timestamp"] = timestamp
        if self._secret:
            headers["X-Mediaserver-Signature"] = signature(self._secret, timestamp, body)
        return headers

    def _session(self) -> aiohttp.ClientSession:
        """Made when first needed, as it belongs to the loop that runs then."""
        if self._client is None:
            self._client = aiohttp.ClientSession(
                # No limit: `_places` bounds events, and a question, one a stream, must not wait for others'.
                connector=Connector(keepalive_timeout=_KEEP_ALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
                # Plain text only: 64 KB that unpack to a gigabyte are no bound.
                headers={"User-Agent": f"mediaserver/{__version__}", "Accept-Encoding": "identity"},
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
            )
        return self._client


async def _read(content: aiohttp.StreamReader) -> bytes | None:
    """All of a body; None where it is longer than anyone has reason to send."""
    try:
        await content.readexactly(ANSWER_BYTES + 1)
    except asyncio.IncompleteReadError as rest:
        return rest.partial
    return None


def _plain(error: Exception, host: str, limit: float, status: int | None) -> WebhookError:
    """What a library raised, in our own words, and whether to try again."""
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError | UnicodeError):
        return WebhookError(in_plain_words(error, status))
    if isinstance(error, TimeoutError):
        return TryAgainError(f"{host}: no answer within {limit:g} s", status)
    unsent = isinstance(error, aiohttp.ClientConnectorError)  # by TLS, too
    return (UnsentError if unsent else TryAgainError)(f"{host}: {in_plain_words(error, status)}", status)


def in_plain_words(error: Exception, status: int | None) -> str:
    """What went wrong with a request, whose answer had come to a `status` or to none."""
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError | UnicodeError):
        return "that is no URL with http:// or https://"
    if isinstance(error, aiohttp.ClientSSLError):
        return f"cannot connect by TLS: {error.os_error.strerror or error.os_error}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {plainly(error.os_error)}"
    if isinstance(error, aiohttp.ClientResponseError):
        return "the answer is not HTTP"
    return f"the connection broke off {'without an answer' if status is None else 'amid the answer'}"


def host_of(url: str) -> str:
    """Host and port of a URL: all that may be shown of it."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or "?"
    except ValueError:
        return "?"
