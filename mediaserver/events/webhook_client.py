"""Posts signed JSON to the operator's own backend, with limits of time and size.

Errors and log lines name only the host of a URL, because its path and query may hold a token. They leave out the
messages of libraries, which may repeat the URL.
"""

import asyncio
import hashlib
import hmac
import time
from urllib.parse import urlsplit

import aiohttp

from mediaserver import __version__
from mediaserver.errors import WebhookError, error_text
from mediaserver.support.http_connector import Connector
from mediaserver.support.tls_errors import describe_tls_error

ANSWER_BYTES = 64 * 1024  # the maximum size in bytes of an answer's body; a longer body is an error
_KEEP_ALIVE = 1.5  # seconds for which an idle connection is kept: fewer than the 2 or 5 s of common servers
_RETRYABLE = frozenset({408, 425, 429})  # HTTP statuses, besides 5xx, after which another attempt may succeed


class RetryableError(WebhookError):
    """A request failed. Another attempt may succeed, but the backend may have acted on the request already."""


class UnsentError(RetryableError):
    """No connection was made, so the backend cannot have seen the request."""


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """The value of `X-Mediaserver-Signature`: "sha256=" and the hex HMAC (RFC 2104) of "<timestamp>.<body>".

    A receiver verifies the body's bytes before it parses them:

        timestamp = request.headers["X-Mediaserver-Timestamp"]
        expected = "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, "sha256").hexdigest()
        genuine = hmac.compare_digest(expected, request.headers["X-Mediaserver-Signature"])
        fresh = abs(time.time() - int(timestamp)) < 300

    A request that is genuine but not fresh may be an old one that an attacker repeats.
    """
    return "sha256=" + hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()


class WebhookClient:
    """An HTTP client that posts JSON, and signs each request if a secret is set."""

    def __init__(self, secret: str) -> None:
        self._secret = secret
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections. Nothing can be posted afterwards."""
        # `_session` makes an HTTP session if there is none. It is closed at once, so no later `post` makes one.
        await self._session().close()

    async def post(self, url: str, kind: str, body: bytes, limit: float) -> bytes:
        """Post a request once, and return the answer's body; WebhookError on failure, or after `limit` seconds."""
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
                text = await _read_body(answer.content) if good else b""  # an error response is not read
        except (
            aiohttp.ClientError,
            OSError,
            UnicodeError,
        ) as error:  # UnicodeError is raised for an invalid host name
            # The error is raised without its cause, because a traceback would show the whole URL in InvalidURL.
            raise _webhook_error(error, host, limit, status) from None
        if not good:
            kind_of_error = RetryableError if status in _RETRYABLE or status >= 500 else WebhookError
            moved = ": redirects are not followed" if 300 <= status < 400 else ""
            raise kind_of_error(f"{host}: HTTP status {status}{moved}", status)
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
        """The HTTP session. It is made at its first use, because it belongs to the event loop that runs then."""
        if self._client is None:
            self._client = aiohttp.ClientSession(
                # The number of connections has no limit, because no question to the operator's backend may wait
                # for another. `Webhooks` limits how many events are posted at the same time.
                connector=Connector(keepalive_timeout=_KEEP_ALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
                # Compressed answers are not accepted: 64 KB of compressed data could unpack to a gigabyte.
                headers={"User-Agent": f"mediaserver/{__version__}", "Accept-Encoding": "identity"},
                auto_decompress=False,
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
            )
        return self._client


async def _read_body(content: aiohttp.StreamReader) -> bytes | None:
    """The whole body of an answer; None if the body is longer than ANSWER_BYTES."""
    try:
        await content.readexactly(ANSWER_BYTES + 1)
    except asyncio.IncompleteReadError as rest:
        return rest.partial
    return None


def _webhook_error(error: Exception, host: str, limit: float, status: int | None) -> WebhookError:
    """The WebhookError for the error of a library. Its class says whether another attempt may succeed."""
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError | UnicodeError):
        return WebhookError(describe_http_error(error, status))
    if isinstance(error, TimeoutError):
        return RetryableError(f"{host}: no answer within {limit:g} s", status)
    unsent = isinstance(error, aiohttp.ClientConnectorError)  # this class of errors includes failures of TLS
    return (UnsentError if unsent else RetryableError)(f"{host}: {describe_http_error(error, status)}", status)


def describe_http_error(error: Exception, status: int | None) -> str:
    """What went wrong with a request, in plain words. `status` is the answer's HTTP status, None without one."""
    if isinstance(error, aiohttp.InvalidURL | aiohttp.NonHttpUrlClientError | UnicodeError):
        return "it is not an http:// or https:// URL"
    if isinstance(error, aiohttp.ClientSSLError):
        return f"cannot connect by TLS: {describe_tls_error(error)}"
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot connect: {error_text(error.os_error)}"
    if isinstance(error, aiohttp.ClientResponseError):
        return "the answer is not HTTP"
    return f"the connection broke off {'without an answer' if status is None else 'amid the answer'}"


def host_of(url: str) -> str:
    """The host and port of a URL, the only parts that messages show; "?" where the URL has no host."""
    try:
        parts = urlsplit(url)
        return f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or "?"
    except ValueError:
        return "?"
