"""Finds the stream that a request of the admin port names."""

from aiohttp import web

from mediaserver.call import Session
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.runtime.engine import Engine


class StreamLookup:
    """Finds streams in progress. Calling the object returns the stream that a request's path names at `{id}`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __call__(self, request: web.Request) -> Session:
        """The stream that a request names, by our id, by its label, or by the platform's id of its call.

        A stream that has ended, and whose connection is being closed, is not found. A handler therefore looks for
        the stream once it has read the body, and acts before it awaits. RefusedError: 404 if there is no such
        stream, 409 if the label or call id stands for several streams.
        """
        name = request.match_info["id"]
        session = self._engine.streams.get(name)
        named = [session] if session is not None else self._engine.streams.named(name)
        found = [session for session in named if session.end is None]
        if not named:
            raise RefusedError(RefusalReason.UNKNOWN_STREAM, f"no stream {name}")
        if not found:
            raise RefusedError(RefusalReason.UNKNOWN_STREAM, f"the stream {name} has ended")
        if len(found) > 1:
            ids = ", ".join(each.stream.id for each in found)
            raise RefusedError(RefusalReason.AMBIGUOUS, f"{name} stands for several streams: name one of {ids}")
        return found[0]

    @staticmethod
    def require_live(session: Session) -> None:
        """Refuse a request (404) whose stream, found earlier, has ended while the request waited for something."""
        if session.end is not None:
            raise RefusedError(RefusalReason.UNKNOWN_STREAM, f"the stream {session.stream.id} has ended")
