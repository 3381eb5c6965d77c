"""HTTP to engines: errors in plain words, that name no more of a URL than its host."""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from mediaserver import __version__
from mediaserver.errors import EngineError
from mediaserver.events.webhook_client import describe_http_error, host_of
from mediaserver.support.http_connector import Connector

_CONNECT = 3.0  # seconds
_CLOSING = aiohttp.ClientWSTimeout(ws_close=1.0)  # seconds that a WebSocket's peer may take to say goodbye
_KEEP_ALIVE = 1.5  # seconds; common servers close an idle connection after 2 or 5, maybe under our next request
_SAID = 4096  # bytes of a refusal that are looked at
_SHOWN = 200  # characters of it that are told


class Http:
    """One client for all engines; its connections are used again."""

    def __init__(self) -> None:
        self._client: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Nothing can be asked after."""
        await self._session().close()  # made if need be, so that none is made after

    @contextlib.asynccontextmanager
    async def post(self, url: str, token: str, **body: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """A request's answer, to be read within; `body` is aiohttp's `json` or `data`.

        EngineError where there is none, where it is no success, where it breaks off. Time-outs are the caller's.
        """
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        status = None
        try:
            async with self._session().post(url, headers=headers, allow_redirects=False, **body) as answer:
                status = answer.status
                if not 200 <= status < 300:
                    raise EngineError(f"{host_of(url)}: HTTP status {status}{await _reason(answer, token)}")
                yield answer
        except TimeoutError:  # the caller's own, to be told by the caller, but for that of connecting
            if status is None:
                raise EngineError(f"{host_of(url)}: no connection within {_CONNECT:g} s") from None
            raise
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise EngineError(f"{host_of(url)}: {describe_http_error(error, status)}") from None

    @contextlib.asynccontextmanager
    async def socket(self, url: str) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket, to be used within; EngineError as above."""
        connected = False
        try:
            async with self._session().ws_connect(url, max_msg_size=1 << 20, timeout=_CLOSING) as socket:
                connected = True
                yield socket
        except TimeoutError:
            if not connected:
                raise EngineError(f"{host_of(url)}: no connection within {_CONNECT:g} s") from None
            raise
        except aiohttp.WSServerHandshakeError as error:
            raise EngineError(f"{host_of(url)}: HTTP status {error.status}, and no WebSocket") from None
        except (aiohttp.ClientError, OSError, UnicodeError) as error:
            raise EngineError(f"{host_of(url)}: {describe_http_error(error, None)}") from None

    def _session(self) -> aiohttp.ClientSession:
        """Made when first needed, as it belongs to the loop that runs then."""
        if self._client is None:
            self._client = aiohttp.ClientSession(
                connector=Connector(keepalive_timeout=_KEEP_ALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"mediaserver/{__version__}"},
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT),
                trust_env=False,
            )
        return self._client


async def _reason(answer: aiohttp.ClientResponse, token: str) -> str:
    """What a server says of its refusal, in one line, and never with the token in it."""
    try:
        said = (await answer.content.read(_SAID)).decode(errors="replace")
    except (aiohttp.ClientError, OSError):
        return ""
    shown = " ".join(said.split())[:_SHOWN]
    return f": {shown}" if shown and not (token and token in said) else ""
