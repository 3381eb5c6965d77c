"""The media endpoint: admits a request, upgrades it, and runs one session on it."""

import asyncio
import contextlib
import secrets
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import structlog
from aiohttp import WebSocketError, WSMsgType, web

from mediaserver.config import ServerSettings
from mediaserver.errors import RefusedError, did_you_mean
from mediaserver.handlers.base import Handler
from mediaserver.metrics import Metrics
from mediaserver.playout.library import PromptLibrary
from mediaserver.playout.pacer import Pacer
from mediaserver.playout.ticker import Ticker
from mediaserver.server.routes import QUERY_KEYS, Route
from mediaserver.session import CloseCode, End, EndReason, Session, Stream
from mediaserver.wire.encapsulation import Wire, WireSettings

# Bytes the kernel may hold for a peer: doubled by Linux, some two seconds of a stalled stream's audio.
SEND_BUFFER = 16 * 1024
MAX_MESSAGE = 64 * 1024  # bytes of an inbound message; a frame is 332 at most
MAX_RATE = 500  # messages a second from one peer: ten times what a stream has to say
_TURN = 32  # messages read before others have their turn
_CLOSE_TIMEOUT = 5.0  # seconds for the peer to answer our close
_GRACE = 2.0  # seconds more for what is ours to do then
_MISFRAMED_FRAMES = 50  # a peer gone within a second of the first frame did not like what it got

log = structlog.get_logger()


class MediaEndpoint:
    """All streams of the public listener."""

    def __init__(
        self,
        settings: ServerSettings,
        routes: list[Route],
        library: PromptLibrary,
        ticker: Ticker,
        metrics: Metrics,
    ) -> None:
        self._settings, self._library, self._ticker, self._metrics = settings, library, ticker, metrics
        self._routes = routes
        self.sessions: set[Session] = set()
        self.draining = False
        self._idle = asyncio.Event()
        self._idle.set()

    def application(self) -> web.Application:
        """The public listener's application."""
        app = web.Application(middlewares=[self._refuse], client_max_size=0)
        for route in self._routes:
            app.router.add_get(route.pattern, self._endpoint(route), allow_head=False)
        return app

    async def drain(self) -> bool:
        """Let streams end by themselves for `drain_timeout` seconds, then close the rest as going away.

        False where a handler does not let its stream end even then.
        """
        self.draining = True
        seconds = self._settings.drain_timeout
        log.info("draining", streams=len(self.sessions), timeout_s=seconds)
        if not await self._become_idle(seconds):
            for session in list(self.sessions):
                session.finish(End(EndReason.DRAINED, CloseCode.GOING_AWAY, "server is shutting down"))
        return await self._become_idle(_CLOSE_TIMEOUT + _GRACE)

    async def _become_idle(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._idle.wait(), seconds)
        except TimeoutError:
            return False
        return True

    @web.middleware
    async def _refuse(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Every refusal as a status and one plain line."""
        headers: dict[str, str] = {}
        try:
            return await handler(request)
        except RefusedError as error:
            status, text = error.status, str(error)
            if status == 426:
                headers["Upgrade"] = "websocket"
        except web.HTTPNotFound:
            status = 404
            text = f"no path {request.path}{did_you_mean(request.path, (r.pattern for r in self._routes))}"
        except web.HTTPMethodNotAllowed as error:
            status = error.status
            text = f"{request.method} is not for a media path: GET with a WebSocket upgrade is"
            headers["Allow"] = "GET"
        except web.HTTPBadRequest as error:
            status, text = error.status, f"the WebSocket handshake is wrong: {error.text}"
        self._metrics.refused.labels(status).inc()
        log.info("refused", path=request.path, peer=request.remote, status=status, why=text)
        return web.Response(status=status, text=" ".join(text.split()) + "\n", headers=headers)

    def _endpoint(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def endpoint(request: web.Request) -> web.StreamResponse:
            handler, wire = self._admit(route, request)
            websocket = web.WebSocketResponse(
                compress=False, max_msg_size=MAX_MESSAGE, timeout=_CLOSE_TIMEOUT, autoping=False
            )
            try:
                await websocket.prepare(request)
            except ConnectionResetError:
                log.info("the peer was gone before the upgrade", path=request.path)
                return web.Response()  # to nobody
            await self._serve(route, request, websocket, handler, wire)
            return websocket

        return endpoint

    def _admit(self, route: Route, request: web.Request) -> tuple[Handler, WireSettings]:
        """What to play and how; RefusedError where there is a reason not to."""
        by_query: RefusedError | None = None
        try:
            handler = route.handler_of(request.match_info, request.query, self._library)
            wire = route.wire_of(request.query)
        except RefusedError as error:
            if error.status == 404:
                raise
            by_query = error
        if request.headers.get("Upgrade", "").lower() != "websocket":
            raise RefusedError(426, f"{request.path} is a media stream: connect to it by WebSocket")
        if by_query is not None:
            raise by_query
        for key in request.query:  # their values may be tokens; only a likely slip is worth a word
            if key not in QUERY_KEYS and (hint := did_you_mean(key, QUERY_KEYS)):
                log.warning("unknown key in the URL's query", path=request.path, key=key, hint=hint.strip(" ()"))
        if self.draining:
            raise RefusedError(503, "shutting down: try again later")
        if len(self.sessions) >= self._settings.max_streams:
            raise RefusedError(503, f"full: {self._settings.max_streams} streams are playing, try again later")
        return handler, wire

    async def _serve(
        self,
        route: Route,
        request: web.Request,
        websocket: web.WebSocketResponse,
        handler: Handler,
        wire_settings: WireSettings,
    ) -> None:
        transport = request.transport
        if transport is None:
            return  # gone during the handshake
        _bound_send_buffer(transport)
        peername = transport.get_extra_info("peername") or ("?", 0)
        stream = Stream(
            id=secrets.token_hex(6),
            path=request.path,
            peer=f"{peername[0]}:{peername[1]}",
            query=dict(request.query),
            variables=dict(request.match_info),
        )
        wire = Wire(wire_settings)
        stalled = End(EndReason.STALLED, CloseCode.ABNORMAL)
        pacer = Pacer(self._ticker, wire, transport, lambda: session.finish(stalled), self._settings.stall_timeout)
        session = Session(stream, wire, self._library, pacer)
        self._begin(session, route)
        player = asyncio.create_task(self._play(session, handler, websocket, transport))
        ending = End(EndReason.PEER_VANISHED, CloseCode.ABNORMAL)
        try:
            ending = await _read(websocket, session)
        finally:
            session.finish(ending)
            try:
                await player
            finally:
                self._end(session, route)

    async def _play(
        self, session: Session, handler: Handler, websocket: web.WebSocketResponse, transport: asyncio.Transport
    ) -> None:
        try:
            end = await session.run(handler.run(session))
        except Exception:
            log.exception("handler failed", stream=session.stream.id, path=session.stream.path)
            end = End(EndReason.ERROR, CloseCode.INTERNAL_ERROR, "the handler failed")
        if not websocket.closed and end.code != CloseCode.ABNORMAL:
            await websocket.close(code=end.code, message=end.message)
        if end.code == CloseCode.ABNORMAL or transport.get_write_buffer_size():
            transport.abort()  # who takes nothing, or never stops, would keep the connection open for ever

    def _begin(self, session: Session, route: Route) -> None:
        self.sessions.add(session)
        self._idle.clear()
        self._metrics.sessions.labels(route.pattern).inc()
        self._metrics.started.labels(route.pattern).inc()
        log.debug("stream started", stream=session.stream.id, path=session.stream.path, peer=session.stream.peer)

    def _end(self, session: Session, route: Route) -> None:
        self.sessions.discard(session)
        if not self.sessions:
            self._idle.set()
        summary = session.summary()
        self._metrics.sessions.labels(route.pattern).dec()
        self._metrics.ended.labels(route.pattern, summary["reason"]).inc()
        self._metrics.underruns.inc(summary["underruns"])
        self._metrics.malformed.inc(session.malformed)
        log.info("stream ended", stream=session.stream.id, **summary)
        if summary["reason"] == EndReason.PEER_VANISHED and 0 < session.frames <= _MISFRAMED_FRAMES:
            log.warning(
                "the peer dropped the stream within a second of its first frame: is the framing what it expects?",
                stream=session.stream.id,
                sent=summary["wire"],
                hint="try framing = message (or pcm) for audiosocket, another rtp_payload for rtp",
            )


def _bound_send_buffer(transport: asyncio.Transport) -> None:
    """Bound what the kernel holds for a peer that reads nothing, so that a stall shows."""
    connection: Any = transport.get_extra_info("socket")
    if connection is not None:
        with contextlib.suppress(OSError):  # it may be gone already
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)


async def _read(websocket: web.WebSocketResponse, session: Session) -> End:
    """Read to the end, for a peer whose writes are not read locks up. Tells how the peer ended it, if it did."""
    clock = asyncio.get_running_loop().time
    second, count = clock(), 0
    while True:
        message = await websocket.receive()
        count += 1
        if count % _TURN == 0:
            await asyncio.sleep(0)  # what is queued already would be read without a pause
            if clock() - second >= 1:
                second, count = clock(), 0
            elif count > MAX_RATE:
                return End(EndReason.FLOOD, CloseCode.ABNORMAL)
        match message.type:
            case WSMsgType.BINARY:
                session.receive(message.data)
            case WSMsgType.PING:
                with contextlib.suppress(ConnectionError):  # what it said before it went is still to be read
                    await websocket.pong(message.data)
            case WSMsgType.CLOSE:
                return End(EndReason.PEER_CLOSED, int(message.data))
            case WSMsgType.ERROR if isinstance(message.data, WebSocketError):
                return End(EndReason.PROTOCOL_ERROR, int(message.data.code))
            case WSMsgType.CLOSING | WSMsgType.CLOSED | WSMsgType.ERROR:
                return End(EndReason.PEER_VANISHED, CloseCode.ABNORMAL)
