"""The media endpoint: upgrades the connection of an admitted request to a WebSocket, and runs a session on it."""

import asyncio
from functools import partial

import structlog
from aiohttp import HttpVersion10, HttpVersion11, web

from mediaserver.call import CloseCode, End, EndReason, Session
from mediaserver.call.control.peer_control import AudioSocketControl
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.handlers.base import Handler
from mediaserver.runtime import sessions
from mediaserver.runtime.engine import Engine
from mediaserver.server.http import refusals, upgrade
from mediaserver.server.http.admission import Admission, AdmissionControl
from mediaserver.server.http.connections import Connections, HttpConnection
from mediaserver.server.http.peers import Peer, resolve_peer
from mediaserver.support.aiohttp_adapter import protocol_of
from mediaserver.transport import connection
from mediaserver.transport.heartbeat import Heartbeat
from mediaserver.transport.websocket_connection import WebSocketConnection
from mediaserver.wire.encapsulation import Encapsulation
from mediaserver.wire.wire import Wire

_NOT_HTTP_1 = RefusedError(RefusalReason.MALFORMED, "a WebSocket needs HTTP/1.1")

log = structlog.get_logger()


class MediaEndpoint:
    """Handles the requests to the media listener, on all its paths."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._streams = engine, engine.streams
        self._warned_of_proxy = False
        self.connections = Connections(
            self._handle, lambda: engine.settings.server, engine.metrics, engine.ticker.run_overdue
        )
        self.admission = AdmissionControl(engine, self.connections)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Begin a stream for a request, or refuse the request."""
        http = protocol_of(request)
        assert isinstance(http, HttpConnection)  # noqa: S101 - `connections` makes only connections of this class
        http.on_request_read()
        # Another version of HTTP is refused without aiohttp, whose response would repeat the request's version.
        if request.version not in (HttpVersion10, HttpVersion11):
            http.reject(_NOT_HTTP_1)
            return web.Response()
        peer = self._resolve_peer(request, http)
        try:
            admitted = await self.admission.admit(request, peer)
            websocket = self.connections.upgrade(http, upgrade.upgrade_response(request))
        except RefusedError as error:
            self.connections.refusals.record(error, peer.name, request.path)
            return refusals.response(error)
        except ConnectionResetError:
            log.debug("peer gone before upgrade", path=request.path, peer=peer.name)
        else:  # nothing was awaited since the admission, so the stream's place is still free
            has_media_start = upgrade.select_subprotocol(request) is not None
            self.begin(admitted, websocket, has_media_start=has_media_start)
        return web.Response()  # aiohttp wants a response, and drops it: the connection is no longer HTTP

    def _resolve_peer(self, request: web.BaseRequest, http: HttpConnection) -> Peer:
        forwarded = request.headers.getall("X-Forwarded-For", ())
        peer = resolve_peer(http.peername, forwarded, self._engine.settings.server.trusted_proxies)
        if forwarded and peer.is_direct and not self._warned_of_proxy:
            self._warned_of_proxy = True
            log.warning("X-Forwarded-For ignored", key="server.trusted_proxies", peer=peer.name)
        return peer

    def begin(
        self, admitted: Admission, websocket: WebSocketConnection, *, has_media_start: bool = False
    ) -> tuple[Session, asyncio.Task[None]]:
        """Begin a session on a WebSocket that was just made; return it, and the task that serves it to its end.

        With `has_media_start`, the peer's first message names its codec. Nothing may be awaited between the
        admission and this call, or another stream could take the place.
        """
        transport = websocket.transport
        wire = Wire(admitted.wire)
        session = sessions.open_session(self._engine, admitted.stream, wire, transport)
        session.write_text = websocket.write_text
        if wire.settings.encapsulation == Encapsulation.AUDIOSOCKET:
            session.control = AudioSocketControl(wire, websocket.write)
        if has_media_start:
            session.expect_media_start()
        self._streams.register(session, admitted.route, admitted.peer.limit_key)
        serving = self._serve(session, admitted.handler, websocket, transport)
        return session, self.connections.run_stream(serving, partial(self._streams.unregister, session))

    async def _serve(
        self, session: Session, handler: Handler, websocket: WebSocketConnection, transport: asyncio.Transport
    ) -> None:
        """Run a stream from the start of its handler to the close of its WebSocket."""
        inbound = _Inbound(self._engine, session, websocket)
        interval = self._engine.settings.server.heartbeat
        heartbeat = Heartbeat(websocket, transport, interval, session.finish, self._engine.timers)
        try:
            await session.wait_for_media_start()
            sessions.notify_started(session)
            end = await sessions.run_handler(session, handler)
            if end.reason is EndReason.FINISHED:
                await session.drain()
            await inbound.stop()  # `close` reads until the peer has answered, and two tasks cannot read at once
            await connection.close(websocket, transport, end)
        finally:
            inbound.cancel()
            heartbeat.stop()
            websocket.release()


class _Inbound:
    """What comes from a stream's peer. Until the peer sends something, there is neither a reader nor its task."""

    __slots__ = ("_limits", "_poller", "_reading", "_session", "_websocket")

    def __init__(self, engine: Engine, session: Session, websocket: WebSocketConnection) -> None:
        self._session, self._websocket = session, websocket
        self._limits, self._poller = engine.settings.server, engine.frame_poller
        self._reading: asyncio.Task[None] | None = None
        websocket.on_data(self._begin)

    def _begin(self) -> None:
        session, websocket = self._session, self._websocket
        reader = connection.MessageReader(
            websocket,
            session.receive_binary,
            self._limits.max_message_rate,
            session.receive_text,
            websocket.on_pong,
        )
        websocket.enforce_limits(reader, session.finish)
        websocket.poll_frames(self._poller, session.receiver, session.frame_size)
        self._reading = asyncio.create_task(self._read(reader))

    async def _read(self, reader: connection.MessageReader) -> None:
        """Read a WebSocket until it ends, then finish its session with the reason."""
        ending = End(EndReason.PEER_VANISHED, CloseCode.ABNORMAL)
        try:
            ending = await reader.read()
        finally:
            self._session.disconnect()
            self._session.finish(ending)

    async def stop(self) -> None:
        """Read no more, because the stream is over."""
        self._websocket.lift_limits()
        reading, self._reading = self._reading, None  # without a reference cycle with the cancelled task
        if reading is not None:
            reading.cancel()
            await asyncio.wait((reading,))
        else:
            self._session.disconnect()

    def cancel(self) -> None:
        """Have the reader end, if it has not ended."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.cancel()
