"""Switches a stream in progress to another path, whose handler replaces the present one on the same connection."""

from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from yarl import URL

from mediaserver.call import Session
from mediaserver.call.stream import CREDENTIALS
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.events.kinds import EventKind
from mediaserver.handlers.base import Handler
from mediaserver.routing.route import Route
from mediaserver.runtime import sessions
from mediaserver.runtime.engine import Engine

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Switch:
    """A switch of one stream to another path, on which a place is kept for the stream."""

    engine: Engine
    session: Session
    route: Route
    handler: Handler
    path: str
    query: Mapping[str, str]
    by: str

    def begin(self) -> Coroutine[Any, Any, None]:
        """Assign the stream to the other path, and return the coroutine of that path's handler."""
        session, previous = self.session, self.session.stream.path
        self.engine.streams.move(session, self.route)
        session.operator.update_stream(path=self.path, route=self.route.pattern, query=self.query)
        session.call.prompts = self.engine.library.snapshot
        log.info("stream switched", stream=session.stream.id, path=self.path, previous=previous, by=self.by)
        session.call.notify(EventKind.STREAM_SWITCHED, {"previous": previous, "by": self.by})
        return sessions.serve(self.handler, session)


def switch_stream(engine: Engine, session: Session, path: str, by: str) -> str:
    """Cancel a stream's handler, and then run that of another path; return the path without its query.

    The path's access rules do not apply, and the stream keeps its wire format. The stream also keeps its
    variables, except those that the path and its query override. The stream's variables are changed, and a place
    on the path is kept for the stream, at once, before the old handler has ended. Requests that come meanwhile can
    therefore not make the switch fail. The event `stream.switched`, emitted when the new handler begins, has `by`,
    the name of whoever asked for the switch.

    RefusedError: 404 if there is no such path or prompt, 400 or 414 if the path is wrong, 400 if there would be
    too many variables, 409 while the stream is being switched already, 503 if the path's limit of streams is
    reached.
    """
    if session.operator.replacing:
        why = "the stream is being switched already: wait for stream.switched"
        raise RefusedError(RefusalReason.SWITCHING, why)
    try:
        url = URL(path)
    except ValueError as error:
        raise RefusedError(RefusalReason.BAD_PATH, f"{path} is not a valid path") from error
    if url.absolute:
        raise RefusedError(RefusalReason.BAD_PATH, f"{path} should be a path alone, without a server")
    route, named = engine.table.match_route_now(url)
    stream, query = session.stream, {key: value for key, value in url.query.items() if key not in CREDENTIALS}
    handler = route.build_handler({**stream.variables, **named}, query, engine.library.snapshot)
    variables = session.operator.merge_variables(route.stream_variables(query, named))
    engine.streams.reserve(session, route)
    session.operator.update_stream(variables=variables)
    session.operator.replace_work(_Switch(engine, session, route, handler, url.path, query, by).begin)
    return url.path
