"""VoIPBIN as all streams of one server dial it: where, with which credential, and how often."""

from collections.abc import Callable
from dataclasses import dataclass, field

import aiohttp
from yarl import URL

from mediaserver.client import dial
from mediaserver.client.pace import Pace
from mediaserver.config.settings import VoipbinSettings
from mediaserver.support.credentials import reveal
from mediaserver.transport.dialled import OpenWebSocket
from mediaserver.wire.encapsulation import Encapsulation


@dataclass(frozen=True)
class Credential:
    """What lets us in."""

    setting: str  # where the configuration has it
    parameter: str  # what the platform calls it in a URL
    secret: str = field(repr=False)


def credential_of(settings: VoipbinSettings) -> Credential | None:
    """The credential in force, looked up where it is kept; None where none is set.

    ConfigError where it is not to be found there.
    """
    for parameter, key, setting in (
        ("token", "voipbin.token", settings.token),
        ("accesskey", "voipbin.access_key", settings.access_key),
    ):
        secret = reveal(setting, key)
        if secret:
            return Credential(key, parameter, secret)
    return None


def media_stream_url(api: str, resource: str, encapsulation: Encapsulation, credential: Credential | None) -> str:
    """The URL of a call's or conference's media stream. It holds the credential: never log it."""
    url = URL(f"{api.rstrip('/')}/{resource}/media_stream", encoded=True)
    url = url.with_scheme("wss" if url.scheme == "https" else "ws")
    query = {"encapsulation": str(encapsulation)}
    if credential is not None:
        query[credential.parameter] = credential.secret
    return str(url.with_query(query))


class Platform:
    """The platform, with the settings that are in force when it is dialled."""

    def __init__(self, settings: Callable[[], VoipbinSettings]) -> None:
        self._settings = settings
        self._pace = Pace()
        self._client: aiohttp.ClientSession | None = None

    async def turn(self) -> None:
        """Wait until one more stream may be dialled: the platform counts the requests of a customer."""
        await self._pace.turn(self._settings().dial_rate)

    async def dial(
        self, resource: str, encapsulation: Encapsulation, credential: Credential | None
    ) -> OpenWebSocket:
        """Open a media stream. PeerError as of `dial.dial`."""
        if self._client is None:
            self._client = dial.client_session()
        url = media_stream_url(self._settings().api, resource, encapsulation, credential)
        return await dial.dial(self._client, url, autoping=False)

    async def close(self) -> None:
        """Let go of what is still open."""
        if self._client is not None:
            await self._client.close()
