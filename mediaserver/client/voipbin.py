"""Dials VoIPBIN's media streams, and posts to its API, with a credential and at a limited rate."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from yarl import URL

from mediaserver.client import dial
from mediaserver.config.settings import VoipbinSettings
from mediaserver.errors import PeerError, error_text
from mediaserver.support.credentials import redact_urls, resolve_secret
from mediaserver.support.http_connector import Connector
from mediaserver.transport.dialled import OpenWebSocket
from mediaserver.transport.held_writes import HeldWrites
from mediaserver.wire.encapsulation import Encapsulation

_POST_TIMEOUT = 10.0  # the time limit in seconds for one request to the API
_POST_ATTEMPTS = 3  # the number of attempts at a request that VoIPBIN refuses with 429 (too many requests)
_MAX_WAIT = 5.0  # the maximum seconds to wait before another attempt, even if `Retry-After` asks for more


@dataclass(frozen=True)
class Credential:
    """A credential for VoIPBIN: a token, or an access key."""

    setting: str  # the key of the setting that holds the credential
    parameter: str  # the name of the query parameter that carries the credential in a URL
    secret: str = field(repr=False)


def credential_of(settings: VoipbinSettings) -> Credential | None:
    """The credential in the settings, or in a file or environment variable that they name; None if none is set.

    ConfigError if the file or the variable does not exist.
    """
    for parameter, key, setting in (
        ("token", "voipbin.token", settings.token),
        ("accesskey", "voipbin.access_key", settings.access_key),
    ):
        secret = resolve_secret(setting, key)
        if secret:
            return Credential(key, parameter, secret)
    return None


def media_stream_url(api: str, resource: str, encapsulation: Encapsulation, credential: Credential | None) -> str:
    """The URL of a call's or conference's media stream. It contains the credential, and must not be logged."""
    url = URL(f"{api.rstrip('/')}/{resource}/media_stream", encoded=True)
    url = url.with_scheme("wss" if url.scheme == "https" else "ws")
    query = {"encapsulation": str(encapsulation)}
    if credential is not None:
        query[credential.parameter] = credential.secret
    return str(url.with_query(query))


def api_url(api: str, path: str, credential: Credential | None) -> URL:
    """The URL of a path of VoIPBIN's API. The URL contains the credential, and must not be logged."""
    url = URL(f"{api.rstrip('/')}/{path}", encoded=True)
    return url if credential is None else url.with_query({credential.parameter: credential.secret})


class DialRateLimiter:
    """Prevents bursts of dialling: tasks may dial in the order of their requests, 1 / `rate` seconds apart."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()  # the lock of the task that dials next; tasks wait for it in order
        self._next = 0.0  # the time from which the next task may dial, by the loop's clock

    async def acquire(self, rate: float) -> None:
        """Wait for a turn to dial. There are `rate` turns per second; the very first turn comes at once.

        A task that is cancelled while it waits leaves its turn to the next task.
        """
        clock = asyncio.get_running_loop().time
        async with self._lock:
            await asyncio.sleep(self._next - clock())
            self._next = max(self._next, clock()) + 1 / rate  # `max`, because the sleep may end a little early


class Platform:
    """Dials VoIPBIN, and posts to its API. Each request uses the settings that are in force at its time.

    What streams send by TLS is held by `writes`, if that is given.
    """

    def __init__(self, settings: Callable[[], VoipbinSettings], writes: HeldWrites | None = None) -> None:
        self._settings, self._writes = settings, writes
        self._rate_limiter = DialRateLimiter()
        self._client: aiohttp.ClientSession | None = None
        self._api_client: aiohttp.ClientSession | None = None

    async def acquire_dial(self) -> None:
        """Wait until `voipbin.dial_rate` permits to dial a stream, because VoIPBIN limits the rate of requests."""
        await self._rate_limiter.acquire(self._settings().dial_rate)

    async def dial(
        self, resource: str, encapsulation: Encapsulation, credential: Credential | None
    ) -> OpenWebSocket:
        """Open the media stream of a call or conference. PeerError if no connection can be made."""
        if self._client is None:
            self._client = dial.client_session(self._writes)
        url = media_stream_url(self._settings().api, resource, encapsulation, credential)
        return await dial.dial(self._client, url, autoping=False)

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> int:
        """POST to a path of VoIPBIN's API, within `voipbin.dial_rate`, and return the HTTP status of the answer.

        If VoIPBIN answers 429, the request is made again after the time in `Retry-After`. PeerError if there is no
        answer, ConfigError if the credential cannot be read.
        """
        if self._api_client is None:
            timeout = aiohttp.ClientTimeout(total=_POST_TIMEOUT)
            self._api_client = aiohttp.ClientSession(connector=Connector(), timeout=timeout)
        for attempt in range(_POST_ATTEMPTS):
            await self.acquire_dial()
            settings = self._settings()
            url = api_url(settings.api, path, credential_of(settings))
            try:
                async with self._api_client.post(url, json=body, allow_redirects=False) as response:
                    if response.status != 429 or attempt == _POST_ATTEMPTS - 1:
                        return response.status
                    wait = dial.seconds_to_wait(response.headers, time.time())
            except TimeoutError:
                raise PeerError(f"no answer within {_POST_TIMEOUT:g} s") from None
            except (aiohttp.ClientError, OSError) as error:
                raise PeerError(f"cannot connect: {redact_urls(error_text(error))}") from None
            await asyncio.sleep(min(1.0 if wait is None else wait, _MAX_WAIT))
        raise AssertionError("the last attempt returns or raises")

    async def close(self) -> None:
        """Close the HTTP clients."""
        for client in (self._client, self._api_client):
            if client is not None:
                await client.close()
