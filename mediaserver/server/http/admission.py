"""Admission control of WebSocket calls: decides whether a request is upgraded, or for which reason it is refused.

A request passes the checks of its path, access, handshake rate, query, spoken texts and number of streams, in this
order. An operator's own call, which the admin port has authorised, needs no access to the path.
"""

import itertools
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from aiohttp import web
from yarl import URL

from mediaserver.call import Stream
from mediaserver.call.stream import CREDENTIALS
from mediaserver.errors import RefusalReason, RefusedError, did_you_mean
from mediaserver.handlers.base import Handler
from mediaserver.routing import spoken_queries
from mediaserver.routing.route import QUERY_KEYS, Route
from mediaserver.runtime.engine import Engine
from mediaserver.server.http.connections import Connections
from mediaserver.server.http.peers import Peer
from mediaserver.support.rate_limit import LogLimiter
from mediaserver.wire.codec import InboundCodec
from mediaserver.wire.encapsulation import Encapsulation, WireSettings

_CALL_KEYS = ("call_id", "call")  # path variables and query keys that may hold the peer's call id
_CALL_HEADERS = ("X-Call-ID", "X-VoIPBIN-Call-ID")
_MAX_CALL_ID = 128  # the most characters that are kept of a call id
_KEYS_COMPARED = 10  # the most unknown keys of one query that are compared with the known keys
_MISSPELT_KEYS_LOGGED = 5  # the most log lines a second about misspelt keys in the queries of URLs
# The peer of a call that an operator makes by the admin port. No limit of streams per peer counts such calls.
_OPERATOR = Peer(address="", name="console", is_direct=True, limit_key="")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Admission:
    """An admitted request: its path's route, the handler to run, the wire format, the stream and the peer."""

    route: Route
    handler: Handler
    wire: WireSettings
    stream: Stream
    peer: Peer


class AdmissionControl:
    """Admits requests to the media paths of one server."""

    def __init__(self, engine: Engine, connections: Connections) -> None:
        self._engine, self._connections = engine, connections
        self._misspelt_key_log = LogLimiter(_MISSPELT_KEYS_LOGGED)
        self._texts = spoken_queries.SpokenTextLimiter()

    async def admit(self, request: web.BaseRequest, peer: Peer) -> Admission:
        """Check that a request may become a stream, and describe that stream; RefusedError says what is wrong."""
        url = request.rel_url
        route, variables = await self._engine.table.match_route(url)
        if request.method != "GET":
            raise RefusedError(
                RefusalReason.METHOD,
                f"{request.method} is not allowed on a media path: use GET with a WebSocket upgrade",
            )
        route.access.authorize(peer.address, url, request.headers.get("Authorization", ""), time.time())
        self._connections.admit_handshake()  # after the access check: strangers must not use up the rate
        query = _without_credentials(route, url.query)
        handler, wire = self._resolve_handler(request, route, variables, query)
        self._texts.admit(
            peer.limit_key, route, handler, (variables, query), self._engine.settings.server.max_texts_per_peer
        )
        self._engine.streams.admit(route, peer.limit_key)
        self._warn_of_misspelt_key(request.path, query)
        stream = _new_stream(url, peer, route, variables, query, request.headers)
        return Admission(route, handler, wire, stream, peer)

    async def admit_operator(self, url: URL) -> Admission:
        """Check that an operator's call of a path may become a stream, and describe that stream.

        RefusedError says what is wrong. Whatever wire format the path has, an operator sends and gets PCM alone.
        """
        route, variables = await self._engine.table.match_route(url)
        query = _without_credentials(route, url.query)
        spoken_queries.validate_text_query(route, query)
        handler = route.build_handler(variables, query, self._engine.library.snapshot)
        self._engine.streams.admit(route)
        wire = WireSettings(Encapsulation.SLN, inbound=InboundCodec.SLIN, lead=route.wire.lead)
        return Admission(route, handler, wire, _new_stream(url, _OPERATOR, route, variables, query, {}), _OPERATOR)

    def _resolve_handler(
        self, request: web.BaseRequest, route: Route, variables: Mapping[str, str], query: Mapping[str, str]
    ) -> tuple[Handler, WireSettings]:
        """The handler and the wire format that a URL asks for.

        If a request has several errors, RefusedError has the first of these: 404; 426 if the request does not ask
        for a WebSocket; the error in the query.
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
        """Log the first key of a query that is almost a known key. Its value is not logged, since it may be a
        token.

        A peer may send any number of keys, so only the first few unknown keys are compared.
        """
        unknown = itertools.islice((key for key in query if key not in QUERY_KEYS), _KEYS_COMPARED)
        key, hint = next(((key, hint) for key in unknown if (hint := did_you_mean(key, QUERY_KEYS))), ("", ""))
        if hint and (unlogged := self._misspelt_key_log.try_acquire()) is not None:
            hint = hint.strip(" ()")
            log.warning("query key unknown", path=path, key=key, hint=hint, **unlogged)


def _without_credentials(route: Route, query: Mapping[str, str]) -> dict[str, str]:
    """The query of a URL without tokens and signatures, which a handler must not see.

    If the path needs no tokens, the query's keys `token`, `expires` and `sig` are no credentials, and are passed
    on.
    """
    return {key: value for key, value in query.items() if not route.access.tokens or key not in CREDENTIALS}


def _new_stream(
    url: URL,
    peer: Peer,
    route: Route,
    variables: Mapping[str, str],
    query: Mapping[str, str],
    headers: Mapping[str, str],
) -> Stream:
    return Stream(
        secrets.token_hex(6),
        url.path,
        peer.name,
        query,
        route.stream_variables(query, variables),
        route=route.pattern,
        untrusted=route.access.is_open,
        call=_call_id(variables, query, headers),
    )


def _call_id(variables: Mapping[str, str], query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """The call id that the peer gives in its URL or in a header; "" without one.

    The id may be any text, so only its first 128 printable characters are kept.
    """
    named = [place.get(key) for place in (variables, query) for key in _CALL_KEYS]
    found = next(filter(None, (*named, *map(headers.get, _CALL_HEADERS))), "")
    return "".join(filter(str.isprintable, found))[:_MAX_CALL_ID]
