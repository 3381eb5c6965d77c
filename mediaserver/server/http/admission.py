"""Admission control of WebSocket calls: why a request is taken, or refused before the upgrade.

A request passes the checks of its path, access, handshake rate, query, texts and streams, in this order.
"""

import itertools
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from aiohttp import web

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
from mediaserver.wire.encapsulation import WireSettings

_CALL_KEYS = ("call_id", "call")  # path variables and query keys that may hold the peer's call id
_CALL_HEADERS = ("X-Call-ID", "X-VoIPBIN-Call-ID")
_MAX_CALL_ID = 128  # characters
_KEYS_COMPARED = 10  # unknown keys of a query that are compared with the known ones
_MISSPELT_KEYS_LOGGED = 5  # lines a second

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
        """Check a request's path, access, rate and query, in this order; RefusedError says what is wrong."""
        url = request.rel_url
        route, variables = await self._engine.table.match_route(url)
        if request.method != "GET":
            raise RefusedError(
                RefusalReason.METHOD,
                f"{request.method} is not for a media path: GET with a WebSocket upgrade is",
            )
        route.access.authorize(peer.address, url, request.headers.get("Authorization", ""), time.time())
        self._connections.admit_handshake()  # peers without access were refused before, and do not count
        # A handler must not see tokens and signatures. On a path without tokens, keys of these names mean what the
        # peer likes, and are passed on.
        query = {
            key: value for key, value in url.query.items() if not route.access.tokens or key not in CREDENTIALS
        }
        handler, wire = self._resolve_handler(request, route, variables, query)
        self._texts.admit(
            peer.limit_key, route, handler, (variables, query), self._engine.settings.server.max_texts_per_peer
        )
        self._engine.streams.admit(route, peer.limit_key)
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
        return Admission(route, handler, wire, stream, peer)

    def _resolve_handler(
        self, request: web.BaseRequest, route: Route, variables: Mapping[str, str], query: Mapping[str, str]
    ) -> tuple[Handler, WireSettings]:
        """The handler and the wire format that a URL asks for.

        Of several errors, the first of these is raised: 404; 426 if no WebSocket is asked for; a wrong query's.
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
        """Log a query's key that is almost a known one. Its value is not logged, since it may be a token.

        A peer may send any number of keys, so only some are compared.
        """
        unknown = itertools.islice((key for key in query if key not in QUERY_KEYS), _KEYS_COMPARED)
        key, hint = next(((key, hint) for key in unknown if (hint := did_you_mean(key, QUERY_KEYS))), ("", ""))
        if hint and (unlogged := self._misspelt_key_log.try_acquire()) is not None:
            hint = hint.strip(" ()")
            log.warning("unknown key in the URL's query", path=path, key=key, hint=hint, **unlogged)


def _call_id(variables: Mapping[str, str], query: Mapping[str, str], headers: Mapping[str, str]) -> str:
    """The peer's own id of the call, "" if it names none. Only 128 printable characters are kept, as it may be any
    text.
    """
    named = [place.get(key) for place in (variables, query) for key in _CALL_KEYS]
    found = next(filter(None, (*named, *map(headers.get, _CALL_HEADERS))), "")
    return "".join(filter(str.isprintable, found))[:_MAX_CALL_ID]
