"""The HTTP and WebSocket client that all speech engines share.

The messages of its errors are single lines. They name only the host of a URL, because its other parts may contain
a secret.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from mediaserver import __version__
from mediaserver.errors import EngineError, RejectedError
from mediaserver.events.webhook_client import describe_http_error, host_of
from mediaserver.support.http_connector import Connector

_CONNECT_TIMEOUT = 3.0  # the time limit in seconds for establishing a connection
_CLOSE_TIMEOUT = aiohttp.ClientWSTimeout(ws_close=1.0)  # time limit in seconds for a WebSocket's closing handshake
# The time in seconds for which an idle connection is kept open. Common servers close an idle connection after 2 or
# 5 s. The client closes it earlier, so that no request is sent on a connection that the server is closing.
_KEEP_ALIVE = 1.5
_MAX_ERROR_BYTES = 4096  # the maximum number of bytes that are read of an error response
# HTTP statuses with which a working server refuses a single request, for example for its model, voice or text.
_REJECTIONS = {400, 404, 413, 415, 422}
_MAX_SHOWN = 200  # the maximum number of characters of an error response that an EngineError's message repeats


class EngineHttpClient:
    """One HTTP client for all speech engines, so that connections are reused."""

    def __init__(self) -> None:
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Close all connections; later requests fail."""
        # If there is no aiohttp session yet, `_session` creates one. Later requests fail, because the session is
        # closed.
        await self._session().close()

    @contextlib.asynccontextmanager
    async def post(self, url: str, token: str, **body: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send a POST request and yield its response, to be read inside the context.

        `body` is the argument `json` or `data` of aiohttp's `post`. Raises RejectedError if the HTTP status shows
        that only this request is at fault. Raises EngineError if the server cannot be reached, answers with
        another status than 2xx, or breaks the response off. Only connecting has a time-out here; the calling code
        sets all other time-outs.
        """
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        status = None
        try:
            async with self._session().post(url, headers=headers, allow_redirects=False, **body) as response:
                status = response.status
                if not 200 <= status < 300:
                    error = RejectedError if status in _REJECTIONS else EngineError
                    raise error(f"{host_of(url)}: HTTP status {status}{await _error_text(response, token)}")
                yield response
        # Once the HTTP status is known, only a time-out that the calling code has set raises this error.
        except TimeoutError:
            if status is None:
                raise EngineError(f"{host_of(url)}: no connection within {_CONNECT_TIMEOUT:g} s") from None
            raise
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise EngineError(f"{host_of(url)}: {describe_http_error(error, status)}") from None

    @contextlib.asynccontextmanager
    async def websocket(self, url: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open a WebSocket and yield it, to be used inside the context.

        Raises EngineError if the server cannot be reached, refuses the handshake, or breaks the connection off.
        """
        connected = False
        try:
            async with self._session().ws_connect(url, max_msg_size=1 << 20, timeout=_CLOSE_TIMEOUT) as websocket:
                connected = True
                yield websocket
        except TimeoutError:
            if not connected:
                raise EngineError(f"{host_of(url)}: no connection within {_CONNECT_TIMEOUT:g} s") from None
            raise
        except aiohttp.WSServerHandshakeError as error:
            raise EngineError(f"{host_of(url)}: HTTP status {error.status}, and no WebSocket") from None
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise EngineError(f"{host_of(url)}: {describe_http_error(error, None)}") from None

    def _session(self) -> aiohttp.ClientSession:
        """The aiohttp session. It is created at first use, because aiohttp ties it to the running event loop."""
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=Connector(keepalive_timeout=_KEEP_ALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"mediaserver/{__version__}"},
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT),
                trust_env=False,
            )
        return self._client


async def _error_text(response: aiohttp.ClientResponse, token: str) -> str:
    """An error response's text as one line after a colon; "" if it has no text, or contains the API token."""
    try:
        text = (await response.content.read(_MAX_ERROR_BYTES)).decode(errors="replace")
    except (aiohttp.ClientError, OSError):
        return ""
    shown = " ".join(text.split())[:_MAX_SHOWN]
    return f": {shown}" if shown and not (token and token in text) else ""
