"""The media endpoint: admits a request, upgrades it, and runs one session on it."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web

from mediaserver.errors import RefusedError, did_you_mean
from mediaserver.handlers.base import Handler
from mediaserver.playout.pacer import Pacer
from mediaserver.session import CloseCode, End, EndReason, Session, Stream
from mediaserver.streams import connection
from mediaserver.streams.engine import Engine
from mediaserver.streams.routes import QUERY_KEYS, Route
from mediaserver.wire.encapsulation import Wire, WireSettings

MAX_RATE = 500  # messages a second from one peer: ten times what a stream has to say

log = structlog.get_logger()


class MediaEndpoint:
    """All paths of the public listener."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._streams = engine, engine.streams
        self._stall_timeout = engine.settings.server.stall_timeout

    def application(self) -> web.Application:
        """The public listener's application."""
        app = web.Application(middlewares=[self._refuse], client_max_size=0)
        for route in self._engine.routes:
            app.router.add_get(route.pattern, self._endpoint(route), allow_head=False)
        return app

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
            text = f"no path {request.path}{did_you_mean(request.path, (r.pattern for r in self._engine.routes))}"
        except web.HTTPMethodNotAllowed as error:
            status = error.status
            text = f"{request.method} is not for a media path: GET with a WebSocket upgrade is"
            headers["Allow"] = "GET"
        except web.HTTPBadRequest as error:
            status, text = error.status, f"the WebSocket handshake is wrong: {error.text}"
        self._engine.metrics.refused.labels(status).inc()
        log.info("refused", path=request.path, peer=request.remote, status=status, why=text)
        return web.Response(status=status, text=" ".join(text.split()) + "\n", headers=headers)

    def _endpoint(self, route: Route) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def endpoint(request: web.Request) -> web.StreamResponse:
            handler, wire = self._admit(route, request)
            websocket = web.WebSocketResponse(
                compress=False,
                max_msg_size=connection.MAX_MESSAGE,
                timeout=connection.CLOSE_TIMEOUT,
                autoping=False,
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
            handler = route.handler_of(request.match_info, request.query, self._engine.library)
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
        if refusal := self._streams.refusal:
            raise RefusedError(503, refusal)
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
        connection.bound_send_buffer(transport)
        peername = transport.get_extra_info("peername") or ("?", 0)
        stream = Stream(
            id=secrets.token_hex(6),
            path=request.path,
            peer=f"{peername[0]}:{peername[1]}",
            query=dict(request.query),
            variables=dict(request.match_info),
        )
        engine, wire = self._engine, Wire(wire_settings)
        stalled = End(EndReason.STALLED, CloseCode.ABNORMAL)
        pacer = Pacer(engine.ticker, wire, transport, lambda: session.finish(stalled), self._stall_timeout)
        session = Session(stream, wire, engine.library, pacer, outbox=engine.backend)
        self._streams.begin(session, route)
        player = asyncio.create_task(_play(session, handler, websocket, transport))
        ending = End(EndReason.PEER_VANISHED, CloseCode.ABNORMAL)
        try:
            ending = await connection.read(websocket, session.receive, MAX_RATE)
        finally:
            session.disconnect()
            session.finish(ending)
            try:
                await player
            finally:
                self._streams.over(session, route)


async def _play(
    session: Session, handler: Handler, websocket: web.WebSocketResponse, transport: asyncio.Transport
) -> None:
    end = await connection.handle(session, handler)
    await connection.close(websocket, transport, end)
