"""Limits requests to the admin port that last, such as for events, and ends those whose token was revoked."""

import asyncio
from collections.abc import Callable, Collection

from aiohttp import web

from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.server.admin.authorization import GRANT, Grant
from mediaserver.server.admin.schemas.openapi import Operation

# The most connections for requests that last, such as for events. The other connections of the admin port are left
# for short requests, such as for metrics.
_MAX_LASTING = 16
_WATCH_SECONDS = 1.0  # seconds between two checks that the tokens of the requests in progress are still in force
# `request[ASKED]` is what a request that lasts asks for, logged at its beginning: its query, or facts that its
# handler sets.
ASKED = web.RequestKey("asked", dict[str, str])


class LastingRequests:
    """The requests in progress that last, such as for events. `grants` returns the grants that are in force."""

    def __init__(self, grants: Callable[[], Collection[Grant]]) -> None:
        self._grants = grants
        self._tasks: dict[asyncio.Task[object], Grant] = {}
        self._watch: asyncio.TimerHandle | None = None  # timer of the next check of the requests' grants

    async def handle(self, operation: Operation, request: web.Request, *, audited: bool) -> web.StreamResponse:
        """Handle a request that lasts, if there are not too many of them.

        If `audited`, the beginning of the answer is logged, too.
        """
        if len(self._tasks) >= _MAX_LASTING:
            raise RefusedError(RefusalReason.CONNECTIONS, f"{_MAX_LASTING} such requests are in progress already")
        if audited:
            request[ASKED] = {key: request.query[key] for key in operation.query if key in request.query}
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - aiohttp handles each request in a task
        self._tasks[task] = request[GRANT]
        self._watch_grants()
        try:
            return await operation.handler(request)
        finally:
            del self._tasks[task]
            request.pop(ASKED, None)

    def close(self) -> None:
        """Check grants no longer, as the server is shutting down."""
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _watch_grants(self) -> None:
        """End the requests whose token is no longer in force, for example because a reload has removed it."""
        self.close()
        grants = self._grants()
        for task, grant in self._tasks.items():
            if grant not in grants:
                task.cancel()
        if self._tasks:
            self._watch = asyncio.get_running_loop().call_later(_WATCH_SECONDS, self._watch_grants)
