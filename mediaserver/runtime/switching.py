"""Switches a stream in progress to another path: that path's handler replaces its own, on the same connection."""

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
class Switch:
    """A switch of one stream to another path, which is found to be possible."""

    engine: Engine
    session: Session
    route: Route
    handler: Handler
    path: str
    query: Mapping[str, str]
    variables: Mapping[str, str]  # all that the stream has from then on

    def start(self, by: str) -> None:
        """Cancel the stream's handler, and run the path's when it is over. `by` is told by the event."""
        self.session.operator.replace_work(lambda: self._begin(by))

    def _begin(self, by: str) -> Coroutine[Any, Any, None]:
        """Make the stream one of the path, and return the work of its handler."""
        session, previous = self.session, self.session.stream.path
        self.engine.streams.move(session, self.route)
        session.operator.update_stream(
            path=self.path, route=self.route.pattern, query=self.query, variables=self.variables
        )
        session.call.prompts = self.engine.library.snapshot
        log.info("stream switched", stream=session.stream.id, path=self.path, previous=previous, by=by)
        session.call.notify(EventKind.STREAM_SWITCHED, {"previous": previous, "by": by})
        return sessions.serve(self.handler, session)


def prepare_switch(engine: Engine, session: Session, path: str) -> Switch:
    """Find what a stream needs to be switched to a path, which may have a query.

    The path's access rules do not count, and its wire format is not used: the stream keeps its own. The stream's
    variables are kept, with those of the path and its query over them. RefusedError: 404 if there is no such path
    or prompt, 400 or 414 if the path is wrong, 503 if as many streams as may be are on it.
    """
    try:
        url = URL(path)
    except ValueError as error:
        raise RefusedError(RefusalReason.BAD_PATH, f"{path} is no path") from error
    if url.absolute:
        raise RefusedError(RefusalReason.BAD_PATH, f"{path} is no path: it names a server")
    route, named = engine.table.match_route_now(url)
    stream, query = session.stream, {key: value for key, value in url.query.items() if key not in CREDENTIALS}
    variables = {**stream.variables, **route.stream_variables(query, named)}
    handler = route.build_handler({**stream.variables, **named}, query, engine.library.snapshot)
    if route.pattern != stream.route:
        engine.streams.require_room_on(route)
    return Switch(engine, session, route, handler, url.path, query, variables)
