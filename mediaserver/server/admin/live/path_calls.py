"""The admin port's request to call a path as a caller does, such as to try a menu in a browser."""

import asyncio
import contextlib
import json
from collections.abc import Callable

from aiohttp import web
from yarl import URL

from mediaserver.call import CloseCode, End, EndReason
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.server.admin.connections import AdminConnection
from mediaserver.server.admin.live.lasting import ASKED
from mediaserver.server.admin.live.websockets import require_handshake
from mediaserver.server.http.eviction import NO_ROOM
from mediaserver.server.http.media import MediaEndpoint
from mediaserver.server.http.upgrade import upgrade_response
from mediaserver.support.aiohttp_adapter import protocol_of
from mediaserver.transport import connection
from mediaserver.transport.websocket_connection import WebSocketConnection

# The close code of a call that is refused is this number plus the HTTP status (RFC 6455, section 7.4.2: codes from
# 4000 on are for private use). A browser does not tell a page why a handshake failed, so the handshake succeeds,
# and the close code tells of the refusal.
REFUSED = 4000


class PathCalls:
    """Turns a WebSocket to the admin port into a stream, as the media port does with the WebSockets of callers.

    `why_closed` returns why the server takes no calls; "" while it does.
    """

    def __init__(self, media: MediaEndpoint, why_closed: Callable[[], str]) -> None:
        self._media, self._why_closed = media, why_closed

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """Call `path`, such as `/menu?customer=7`, by WebSocket, with 16-bit PCM at 8 kHz in both directions.

        The path's own tokens and allowed networks are not checked; all else is as in a call by the media port. The
        first message is text, and names the stream. If a call is refused, its WebSocket is closed with the code
        4000 + the HTTP status, and with the reason.
        """
        require_handshake(request)
        response = upgrade_response(request)
        http, connections = protocol_of(request), self._media.connections
        assert isinstance(http, AdminConnection)  # noqa: S101 - `AdminConnections` makes no others
        if not connections.make_room(http):
            raise NO_ROOM
        try:
            if reason := self._why_closed():
                raise RefusedError(RefusalReason.NO_CALLS, reason)
            admitted = await self._media.admission.admit_operator(_url(request.query.get("path", "")))
            websocket = connections.upgrade(http, response)
        except RefusedError as error:
            with contextlib.suppress(ConnectionResetError):  # the peer has gone
                await _close(connections.upgrade(http, response), error)
            return web.Response(status=error.status)
        except ConnectionResetError:
            return web.Response()  # the peer has gone
        websocket.write_text(json.dumps({"type": "connected", "stream": admitted.stream.id}))
        session, serving = self._media.begin(admitted, websocket)
        # The called path is logged without its query, which may have secrets.
        request[ASKED] = {"called": admitted.stream.path, "stream": admitted.stream.id}
        await request.app.on_response_prepare.send(request, web.Response())  # logs whose token makes the call
        try:
            await asyncio.wait((serving,))
        except asyncio.CancelledError:
            session.finish(End(EndReason.HUNG_UP, CloseCode.POLICY, "the token is no longer valid"))
            raise
        return web.Response()  # aiohttp wants a response, and drops it: the connection is no longer HTTP


def _url(path: str) -> URL:
    """Parse a URL path with its query; RefusedError 400 if the text is no URL, or names a host."""
    try:
        url = URL(path)
    except ValueError as error:
        raise RefusedError(RefusalReason.BAD_QUERY, f"path: {error}") from None
    if url.absolute or not path.startswith("/"):
        raise RefusedError(RefusalReason.BAD_QUERY, "path should begin with one /, and may have a query")
    return url


async def _close(websocket: WebSocketConnection, error: RefusedError) -> None:
    """Tell the peer of a new WebSocket that its call is refused, and why."""
    transport = websocket.transport
    try:
        await connection.close(websocket, transport, End(EndReason.REFUSED, REFUSED + error.status, str(error)))
    finally:
        websocket.release()
