"""How all attached streams of one server dial VoIPBIN: the URL, the credential, and the rate of dialling."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from mediaserver.client import dial
from mediaserver.config.settings import VoipbinSettings
from mediaserver.support.credentials import resolve_secret
from mediaserver.transport.dialled import OpenWebSocket
from mediaserver.wire.encapsulation import Encapsulation


@dataclass(frozen=True)
class Credential:
    """A credential for VoIPBIN: a token, or an access key."""

    setting: str  # the credential's key in the configuration
    parameter: str  # the credential's name in the query of a URL
    secret: str = field(repr=False)


def credential_of(settings: VoipbinSettings) -> Credential | None:
    """The credential that the settings hold, or name by a file or an environment variable; None if none is set.

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
    """The URL of a call's or conference's media stream. The URL holds the credential, and must not be logged."""
    url = URL(f"{api.rstrip('/')}/{resource}/media_stream", encoded=True)
    url = url.with_scheme("wss" if url.scheme == "https" else "ws")
    query = {"encapsulation": str(encapsulation)}
    if credential is not None:
        query[credential.parameter] = credential.secret
    return str(url.with_query(query))


class DialRateLimiter:
    """Prevents bursts of dialling: grants turns in the order of requests, at least 1 / `rate` seconds apart."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()  # waiting tasks acquire it in their order
        self._next = 0.0  # when the next turn may be granted, by the loop's clock

    async def acquire(self, rate: float) -> None:
        """Wait for a turn to dial. There are `rate` turns a second; the very first turn is granted at once.

        A task that is cancelled while it waits leaves its turn to the next task.
        """
        clock = asyncio.get_running_loop().time
        async with self._lock:
            await asyncio.sleep(self._next - clock())
            self._next = max(self._next, clock()) + 1 / rate  # `max`, because the timer may fire a little early


class Platform:
    """Dials VoIPBIN. Each dialling uses the settings that are in force at that time."""

    def __init__(self, settings: Callable[[], VoipbinSettings]) -> None:
        self._settings = settings
        self._rate_limiter = DialRateLimiter()
        self._client: aiohttp.ClientSession | None = None

    async def acquire_dial(self) -> None:
        """Wait until `voipbin.dial_rate` allows to dial one more stream, because VoIPBIN limits our requests."""
        await self._rate_limiter.acquire(self._settings().dial_rate)

    async def dial(
        self, resource: str, encapsulation: Encapsulation, credential: Credential | None
    ) -> OpenWebSocket:
        """Open the media stream of a call or conference. PeerError if no connection can be made."""
        if self._client is None:
            self._client = dial.client_session()
        url = media_stream_url(self._settings().api, resource, encapsulation, credential)
        return await dial.dial(self._client, url, autoping=False)

    async def close(self) -> None:
        """Close the HTTP client."""
        if self._client is not None:
            await self._client.close()
