"""Dials an application's WebSocket. Errors name the application's host, never its URL, which may hold a secret."""

from dataclasses import dataclass, field

import aiohttp

from mediaserver import __version__
from mediaserver.errors import PeerError
from mediaserver.events.webhook_client import host_of
from mediaserver.transport import dialled
from mediaserver.transport.connection import bound_send_buffer
from mediaserver.transport.dialled import DialFailure, DialFailureKind, OpenWebSocket

_MAX_MESSAGE_BYTES = 1 << 19  # the most bytes of one message from the application: half a minute of PCM
_TEMPORARY_STATUSES = {408, 425, 429}  # HTTP statuses below 500 after which another attempt may succeed


class FinalError(PeerError):
    """The application cannot be reached, and another attempt would not help."""


@dataclass(frozen=True, slots=True)
class ApplicationEndpoint:
    """An application to dial, and the time-outs for dialling. The URL and the token are never shown."""

    url: str = field(repr=False)
    token: str = field(default="", repr=False)
    connect_timeout: float = 5.0  # seconds that one attempt to connect may take
    reconnect_timeout: float = 10.0  # seconds without a connection after which the application is given up

    @property
    def host(self) -> str:
        """Host and port of the URL, its only part that may be shown."""
        return host_of(self.url)


def client_session() -> aiohttp.ClientSession:
    """An HTTP session that dials applications, and keeps no cookies."""
    return dialled.client_session(
        headers={"User-Agent": f"mediaserver/{__version__}"}, cookie_jar=aiohttp.DummyCookieJar()
    )


async def dial(client: aiohttp.ClientSession, endpoint: ApplicationEndpoint) -> OpenWebSocket:
    """Open a WebSocket to the application.

    PeerError, with a text of one line, if the dialling fails; FinalError if another attempt would fail, too.
    """

    def to_error(failure: DialFailure) -> PeerError:
        host = endpoint.host
        match failure.kind:
            case DialFailureKind.REFUSED:
                temporary = failure.status in _TEMPORARY_STATUSES or failure.status >= 500
                error = PeerError if temporary else FinalError
                return error(f"{host}: refused with HTTP status {failure.status}")
            case DialFailureKind.TIMEOUT:
                return PeerError(f"{host}: no answer within {endpoint.connect_timeout:g} s")
            case DialFailureKind.INVALID_URL:
                return FinalError("the application's URL is not a valid ws:// or wss:// URL")
            case DialFailureKind.BROKEN:
                return PeerError(f"{host}: the connection broke off amid the handshake")
        return PeerError(f"{host}: {failure.text}")

    websocket = await dialled.open_websocket(
        client,
        endpoint.url,
        to_error,
        timeout=endpoint.connect_timeout,
        max_message_bytes=_MAX_MESSAGE_BYTES,
        headers={"Authorization": f"Bearer {endpoint.token}"} if endpoint.token else None,
    )
    bound_send_buffer(websocket.transport)
    return websocket
