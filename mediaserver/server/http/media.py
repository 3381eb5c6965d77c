"""The media endpoint: admits a request, upgrades its connection to a WebSocket, and runs one session on it."""

import asyncio
import itertools
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from aiohttp import HttpVersion10, HttpVersion11, web

from mediaserver.call import CloseCode, End, EndReason, Session, Stream
from mediaserver.call.peer_control import AudioSocketControl
from mediaserver.call.stream import CREDENTIALS
from mediaserver.errors import RefusalReason, RefusedError, did_you_mean
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.base import Handler
from mediaserver.routing import spoken_queries
from mediaserver.routing.route import QUERY_KEYS, Route
from mediaserver.runtime import sessions
from mediaserver.runtime.engine import Engine
from mediaserver.server.http import handshake, refusals
from mediaserver.server.http.connections import Connections, HttpConnection
from mediaserver.server.http.peers import Peer, resolve_peer
from mediaserver.support.aiohttp_adapter import protocol_of
from mediaserver.support.rate_limit import LogLimiter
from mediaserver.transport import connection
from mediaserver.transport.heartbeat import Heartbeat
from mediaserver.transport.server_websocket import ServerWebSocket
from mediaserver.wire.encapsulation import Encapsulation, WireSettings
from mediaserver.wire.wire import Wire

_CALL_KEYS = ("call_id", "call")  # of a path's variables and of a query
_CALL_HEADERS = ("X-Call-ID", "X-VoIPBIN-Call-ID")
_MAX_CALL_ID = 128  # characters
_KEYS_COMPARED = 10  # unknown keys of a query that are compared with ours
_MISSPELT_KEYS_LOGGED = 5  # lines a second

_NOT_HTTP_1 = RefusedError(RefusalReason.MALFORMED, "a WebSocket begins with HTTP/1.1")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Admission:
    """An admitted request: what is to be played to which peer, and how."""

    route: Route
    handler: Handler
    wire: WireSettings
    stream: Stream
    peer: Peer


class MediaEndpoint:
    """All paths of the media listener."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._streams = engine, engine.streams
        self._warned_of_proxy = False
        self._misspelt_key_log = LogLimiter(_MISSPELT_KEYS_LOGGED)
        self._texts = spoken_queries.SpokenTextLimiter()
        self.connections = Connections(self._handle, lambda: engine.settings.server, engine.metrics)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Begin a stream for a request, or refuse it."""
        http = protocol_of(request)
        assert isinstance(http, HttpConnection)  # noqa: S101 - `connections` makes no others
        http.on_request_read()
        if request.version not in (HttpVersion10, HttpVersion11):  # aiohttp would answer in the same version
            http.reject(_NOT_HTTP_1)
            return web.Response()
        peer = self._resolve_peer(request, http)
        try:
            admitted = await self._admit(request, peer)
            websocket = http.upgrade(handshake.upgrade_response(request))
        except RefusedError as error:
            self.connections.refusals.record(error, peer.name, request.path)
            return refusals.response(error)
        except ConnectionResetError:
            log.debug("the peer was gone before the upgrade", path=request.path, peer=peer.name)
        else:  # nothing was awaited since the admission, so its place among the streams is still free
            has_media_start = handshake.select_subprotocol(request) is not None
            self._begin(admitted, websocket, has_media_start=has_media_start)
        return web.Response()  # aiohttp wants one, and drops it: the connection is no longer HTTP

    def _resolve_peer(self, request: web.BaseRequest, http: HttpConnection) -> Peer:
        forwarded = request.headers.getall("X-Forwarded-For", ())
        peer = resolve_peer(http.peername, forwarded, self._engine.settings.server.trusted_proxies)
        if forwarded and peer.is_direct and not self._warned_of_proxy:
            self._warned_of_proxy = True
            log.warning("X-Forwarded-For from none of server.trusted_proxies is not believed", peer=peer.name)
        return peer

    async def _admit(self, request: web.BaseRequest, peer: Peer) -> _Admission:
        """Check a request's path, access, rate and query, in this order; RefusedError says what is wrong."""
        url = request.rel_url
        route, variables = await self._engine.table.match_route(url)
        if request.method != "GET":
            raise RefusedError(
                RefusalReason.METHOD,
                f"{request.method} is not for a media path: GET with a WebSocket upgrade is",
            )
        route.access.authorize(peer.address, url, request.headers.get("Authorization", ""), time.time())
        limits = self._engine.settings.server
        if not self.connections.handshake_rate.try_acquire(
            limits.handshake_rate
        ):  # peers without access do not count
            raise RefusedError(RefusalReason.BUSY, "too many calls at once: try again in a second")
        # A handler is not given what opens its path. On an open path such a key is one of the peer's own.
        query = {
            key: value for key, value in url.query.items() if not route.access.tokens or key not in CREDENTIALS
        }
        handler, wire = self._resolve_handler(request, route, variables, query)
        self._texts.admit(peer.limit_key, route, handler, (variables, query), limits.max_texts_per_peer)
        self._streams.admit(route, peer.limit_key)
        self._warn_of_misspelt_key(request.path, query)
        call = _call_id(variables, query, request.headers)
        stream_variables = route.stream_variables(query, variables)
        stream = Stream(
            secrets.token_hex(6),
            request.path,
            peer.name,
            query,
            stream_variables,
            route=route.pattern,
            untrusted=route.access.is_open,
            call=call,
        )
        return _Admission(route, handler, wire, stream, peer)

    def _resolve_handler(
        self, request: web.BaseRequest, route: Route, variables: Mapping[str, str], query: Mapping[str, str]
    ) -> tuple[Handler, WireSettings]:
        """The handler and the wire format that a URL asks for.

        RefusedError: 404 goes before 426 for a request that asks for no WebSocket, and that before a wrong query.
        """
        query_error: RefusedError | None = None
        try:
            spoken_queries.validate_text_query(route, query)
            resolved = (
                route.build_handler(variables, query, self._engine.library.snapshot),
                route.wire_settings(query),
            )
        except RefusedError as error:
            if error.status == 404:
                raise
            query_error = error
        if request.headers.get("Upgrade", "").lower() != "websocket":
            text = f"{request.path} is a media stream: connect to it by WebSocket"
            raise RefusedError(RefusalReason.NOT_WEBSOCKET, text)
        if query_error is not None:
            raise query_error
        return resolved

    def _warn_of_misspelt_key(self, path: str, query: Mapping[str, str]) -> None:
        """Log a key of a query that is almost one of ours, without its value, which may be a token.

        A peer may send any number of keys, so only some are compared.
        """
        unknown = itertools.islice((key for key in query if key not in QUERY_KEYS), _KEYS_COMPARED)
        key, hint = next(((key, hint) for key in unknown if (hint := did_you_mean(key, QUERY_KEYS))), ("", ""))
        if hint and (unlogged := self._misspelt_key_log.try_acquire()) is not None:
            hint = hint.strip(" ()")
            log.warning("unknown key in the URL's query", path=path, key=key, hint=hint, **unlogged)

    def _begin(self, admitted: _Admission, websocket: ServerWebSocket, *, has_media_start: bool) -> None:
        """Open a session on a WebSocket. With `has_media_start` the peer names its audio format first."""
        transport = websocket.transport
        assert transport is not None  # noqa: S101 - the answer was written in this turn of the event loop
        wire = Wire(admitted.wire)
        session = sessions.open_session(self._engine, admitted.stream, wire, transport)
        session.write_text = websocket.write_text
        if wire.settings.encapsulation == Encapsulation.AUDIOSOCKET:
            session.control = AudioSocketControl(wire, websocket.write)
        if has_media_start:
            session.expect_media_start()
        self._streams.register(session, admitted.route, admitted.peer.limit_key)
        serving = self._serve(session, admitted.handler, websocket, transport)
        self.connections.run_stream(serving, lambda: self._streams.unregister(session))

    async def _serve(
        self, session: Session, handler: Handler, websocket: ServerWebSocket, transport: asyncio.Transport
    ) -> None:
        """Run a stream to its end."""
        limits = self._engine.settings.server
        reader = connection.MessageReader(
            websocket, session.receive, limits.max_message_rate, session.receive_text
        )
        websocket.enforce_limits(reader, session.finish)
        unanswered = End(EndReason.UNANSWERED, CloseCode.ABNORMAL)
        heartbeat = Heartbeat(websocket, reader, transport, limits.heartbeat, lambda: session.finish(unanswered))
        reading = asyncio.create_task(_read(reader, session))
        try:
            await session.wait_for_media_start()
            session.call.notify(EventKind.STREAM_STARTED, session.wire_facts)
            end = await sessions.run_handler(session, handler)
            if end.reason is EndReason.FINISHED:
                await session.drain()
            websocket.lift_limits()
            reading.cancel()  # `close` reads until the peer has answered, and two cannot read at once
            await asyncio.wait((reading,))
            await connection.close(websocket, transport, end)
        finally:
            reading.cancel()
            heartbeat.stop()
            websocket.release()


async def _read(reader: connection.MessageReader, session: Session) -> None:
    """Read a WebSocket to its end, and finish the session with it."""
    ending = End(EndReason.PEER_VANISHED, CloseCode.ABNORMAL)
    try:
        ending = await reader.read()
    finally:
        session.disconnect()
        session.finish(ending)


def _call_id(variables: Mapping[str, str], query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """The peer's own id of the call, "" where it names none: printable characters, at most 128, as it may be any
    text.
    """
    named = [place.get(key) for place in (variables, query) for key in _CALL_KEYS]
    found = next(filter(None, (*named, *map(headers.get, _CALL_HEADERS))), "")
    return "".join(filter(str.isprintable, found))[:_MAX_CALL_ID]
