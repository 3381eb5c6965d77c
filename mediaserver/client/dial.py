"""Dialling a media stream: the upgrade, its refusal in the server's own words, and the transport beneath."""

from typing import Any, Literal

import aiohttp
from aiohttp import ClientWebSocketResponse

from mediaserver.errors import PeerError, RefusedError

MAX_MESSAGE = 64 * 1024  # bytes
_REFUSAL_BYTES = 300
_CONNECT_TIMEOUT = 10.0


class MediaWebSocket(ClientWebSocketResponse[Literal[True]]):
    """A client's WebSocket that shows its transport, for whole masked messages to be written to."""

    def __init__(
        self, reader: Any, writer: Any, protocol: str | None, response: Any, *args: Any, **kwargs: Any
    ) -> None:
        super().__init__(reader, writer, protocol, response, *args, **kwargs)
        self.transport = response.connection.transport


def client_session() -> aiohttp.ClientSession:
    """A session whose WebSockets are `MediaWebSocket`s."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT)
    return aiohttp.ClientSession(ws_response_class=MediaWebSocket, timeout=timeout)


async def dial(client: aiohttp.ClientSession, url: str) -> MediaWebSocket:
    """Open a media stream. RefusedError where the server turns it down, PeerError where none answers."""
    try:
        websocket = await client.ws_connect(url, compress=0, max_msg_size=MAX_MESSAGE)
    except aiohttp.WSServerHandshakeError as error:
        if error.status == 101:
            raise PeerError(f"the server's upgrade is wrong: {error.message}") from error
        raise RefusedError(error.status, await _refusal(client, url) or error.message) from error
    except (aiohttp.ClientError, OSError, TimeoutError) as error:
        raise PeerError(f"cannot connect: {error or 'timed out'}") from error
    assert isinstance(websocket, MediaWebSocket)  # noqa: S101 - the session makes no others
    return websocket


async def _refusal(client: aiohttp.ClientSession, url: str) -> str:
    """What the server says of the same request: the failed upgrade itself does not keep the body."""
    headers = {
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    url = url.replace("ws", "http", 1) if url.startswith("ws") else url
    try:
        async with client.get(url, headers=headers) as response:
            return (await response.content.read(_REFUSAL_BYTES)).decode(errors="replace").strip()
    except (aiohttp.ClientError, OSError, TimeoutError):
        return ""
