"""The media endpoint: admits a request, upgrades it, and runs one session on it."""

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
from mediaserver.server.http.connections import Connection, Connections
from mediaserver.server.http.peers import Peer, peer_of
from mediaserver.support.rate_limit import LoggedRarely
from mediaserver.transport import connection
from mediaserver.transport.heartbeat import Heartbeat
from mediaserver.transport.upgraded import Upgraded
from mediaserver.wire.encapsulation import Encapsulation, WireSettings
from mediaserver.wire.wire import Wire

_CALL_KEYS = ("call_id", "call")  # of a path's variables and of a query
_CALL_HEADERS = ("X-Call-ID", "X-VoIPBIN-Call-ID")
_CALL_CHARACTERS = 128
_KEYS_COMPARED = 10  # unknown keys of a query that are held against ours
_SLIPS_LOGGED = 5  # lines a second

_NOT_HTTP_1 = RefusedError(RefusalReason.MALFORMED, "a WebSocket begins with HTTP/1.1")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Admitted:
    """What a request that is let in asks for."""

    route: Route
    handler: Handler
    wire: WireSettings
    stream: Stream
    peer: Peer


class MediaEndpoint:
    """All paths of the public listener."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._streams = engine, engine.streams
        self._told_of_proxy = False
        self._slips = LoggedRarely(_SLIPS_LOGGED)
        self._texts = spoken_queries.SpokenTextLimiter()
        self.connections = Connections(self._handle, lambda: engine.settings.server, engine.metrics)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """One request: a stream begins, or is refused."""
        assert isinstance(request.protocol, Connection)  # noqa: S101 - `connections` makes no others
        request.protocol.handshake_done()
        if request.version not in (HttpVersion10, HttpVersion11):  # aiohttp would answer in the same
            request.protocol.turn_away(_NOT_HTTP_1)
            return web.Response()
        peer = self._peer_of(request)
        try:
            admitted = await self._admit(request, peer)
            upgraded = request.protocol.upgrade(handshake.answer(request))
        except RefusedError as error:
            self.connections.refusals.count(error, peer.name, request.path)
            return refusals.response(error)
        except ConnectionResetError:
            log.debug("the peer was gone before the upgrade", path=request.path, peer=peer.name)
        else:  # without a wait since it was admitted: the place is still there
            self._begin(admitted, upgraded, names_format=handshake.subprotocol(request) is not None)
        return web.Response()  # to nobody

    def _peer_of(self, request: web.BaseRequest) -> Peer:
        forwarded = request.headers.getall("X-Forwarded-For", ())
        peer = peer_of(request.protocol.peername, forwarded, self._engine.settings.server.trusted_proxies)
        if forwarded and peer.direct and not self._told_of_proxy:
            self._told_of_proxy = True
            log.warning("X-Forwarded-For from none of server.trusted_proxies is not believed", peer=peer.name)
        return peer

    async def _admit(self, request: web.BaseRequest, peer: Peer) -> _Admitted:
        """What to play to whom, and how; RefusedError where there is a reason not to."""
        url = request.rel_url
        route, variables = await self._engine.table.match_route(url)
        if request.method != "GET":
            raise RefusedError(
                RefusalReason.METHOD,
                f"{request.method} is not for a media path: GET with a WebSocket upgrade is",
            )
        route.access.authorize(peer.address, url, request.headers.get("Authorization", ""), time.time())
        limits = self._engine.settings.server
        if not self.connections.handshakes.take(limits.handshake_rate):  # those without access do not count
            raise RefusedError(RefusalReason.BUSY, "too many calls at once: try again in a second")
        # What opens the path is no handler's business; on an open path it is nothing of ours.
        query = {
            key: value for key, value in url.query.items() if not route.access.tokens or key not in CREDENTIALS
        }
        handler, wire = self._asked(request, route, variables, query)
        self._texts.admit(peer.group, route, handler, (variables, query), limits.max_texts_per_peer)
        self._streams.admit(route, peer.group)
        self._tell_of_a_slip(request.path, query)
        call = _call_of(variables, query, request.headers)
        told = route.stream_variables(query, variables)
        stream = Stream(
            secrets.token_hex(6),
            request.path,
            peer.name,
            query,
            told,
            route=route.pattern,
            untrusted=route.access.is_open,
            call=call,
        )
        return _Admitted(route, handler, wire, stream, peer)

    def _asked(
        self, request: web.BaseRequest, route: Route, variables: Mapping[str, str], query: Mapping[str, str]
    ) -> tuple[Handler, WireSettings]:
        """The handler and the wire that a URL asks for; what is not there is told before what is wrong."""
        by_query: RefusedError | None = None
        try:
            spoken_queries.validate_text_query(route, query)
            asked = (
                route.build_handler(variables, query, self._engine.library.snapshot),
                route.wire_settings(query),
            )
        except RefusedError as error:
            if error.status == 404:
                raise
            by_query = error
        if request.headers.get("Upgrade", "").lower() != "websocket":
            text = f"{request.path} is a media stream: connect to it by WebSocket"
            raise RefusedError(RefusalReason.NOT_WEBSOCKET, text)
        if by_query is not None:
            raise by_query
        return asked

    def _tell_of_a_slip(self, path: str, query: Mapping[str, str]) -> None:
        """Log a key that is almost one of ours. Values may be tokens; strangers may write any number of keys."""
        unknown = itertools.islice((key for key in query if key not in QUERY_KEYS), _KEYS_COMPARED)
        key, hint = next(((key, hint) for key in unknown if (hint := did_you_mean(key, QUERY_KEYS))), ("", ""))
        if hint and (unlogged := self._slips.take()) is not None:
            hint = hint.strip(" ()")
            log.warning("unknown key in the URL's query", path=path, key=key, hint=hint, **unlogged)

    def _begin(self, admitted: _Admitted, upgraded: Upgraded, *, names_format: bool) -> None:
        transport = upgraded.transport
        assert transport is not None  # noqa: S101 - it was there in this turn of the loop
        wire = Wire(admitted.wire)
        session = sessions.open_session(self._engine, admitted.stream, wire, transport)
        session.write_text = upgraded.write_text
        if wire.settings.encapsulation == Encapsulation.AUDIOSOCKET:
            session.control = AudioSocketControl(wire, upgraded.write)
        if names_format:
            session.expect_media_start()
        self._streams.begin(session, admitted.route, admitted.peer.group)
        serving = self._serve(session, admitted.handler, upgraded, transport)
        self.connections.spawn(serving, lambda: self._streams.over(session))

    async def _serve(
        self, session: Session, handler: Handler, upgraded: Upgraded, transport: asyncio.Transport
    ) -> None:
        """One stream, to its end."""
        limits = self._engine.settings.server
        reader = connection.Reader(upgraded, session.receive, limits.max_message_rate, session.receive_text)
        upgraded.watch(reader, session.finish)
        unanswered = End(EndReason.UNANSWERED, CloseCode.ABNORMAL)
        heartbeat = Heartbeat(upgraded, reader, transport, limits.heartbeat, lambda: session.finish(unanswered))
        reading = asyncio.create_task(_read(reader, session))
        try:
            await session.wait_for_media_start()
            session.call.notify(EventKind.STREAM_STARTED, session.wire_facts)
            end = await sessions.run_handler(session, handler)
            if end.reason is EndReason.FINISHED:
                await session.drain()
            upgraded.unwatch()
            reading.cancel()  # who closes reads on until the peer has answered, and two cannot read
            await asyncio.wait((reading,))
            await connection.close(upgraded, transport, end)
        finally:
            reading.cancel()
            heartbeat.stop()
            upgraded.forget()


async def _read(reader: connection.Reader, session: Session) -> None:
    """Read to the end, and with it end the session."""
    ending = End(EndReason.PEER_VANISHED, CloseCode.ABNORMAL)
    try:
        ending = await reader.read()
    finally:
        session.disconnect()
        session.finish(ending)


def _call_of(variables: Mapping[str, str], query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """The peer's own id of the call, where it names one; a stranger wrote it, so not all of it is taken."""
    named = [place.get(key) for place in (variables, query) for key in _CALL_KEYS]
    found = next(filter(None, (*named, *map(headers.get, _CALL_HEADERS))), "")
    return "".join(filter(str.isprintable, found))[:_CALL_CHARACTERS]
