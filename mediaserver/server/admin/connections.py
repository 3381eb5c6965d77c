"""The TCP connections of the admin port: how many, and how long one may take for a request.

They have descriptors of their own (`ADMIN_CONNECTIONS`), so that none of them costs a call its place. Those whose
request is worked on stay; the others, half-sent requests and idle ones, give way to those that come, oldest first.
"""

import asyncio
from collections.abc import Callable
from typing import cast

import structlog
from aiohttp import web

from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.server.http import refusals
from mediaserver.server.http.descriptors import ADMIN_CONNECTIONS
from mediaserver.support.metrics import Metrics
from mediaserver.support.rate_limit import Rate

_KEEP_ALIVE = 75.0  # seconds between two requests: Prometheus asks every minute or more often
_LINGERING = 1.0  # seconds for the rest of a request that is answered already
_LOGGED = 1  # lines a second

# When the admin port refuses a request, by its reason. docs/reference/refusals.md is made of this table.
REFUSALS = {
    RefusalReason.MALFORMED: "the request is no HTTP, or its `Host` or `Origin` is none",
    RefusalReason.UNAUTHORISED: "there is a token, and the request has none, or a wrong one",
    RefusalReason.HOST: "without a token: `Host` is none of the server's names; see `admin.hosts`",
    RefusalReason.ORIGIN: "without a token: a page of another site asks",
    RefusalReason.SLOW: "half a request, or an answer that is not taken, within `server.handshake_timeout`",
    RefusalReason.CONNECTIONS: "it gave way to another connection: there are 32 of them",
}

_SLOW = RefusedError(RefusalReason.SLOW, "the request took too long")
_NO_ROOM = RefusedError(RefusalReason.CONNECTIONS, "too many connections to the admin port: try again later")

log = structlog.get_logger()


class AdminConnections:
    """Makes the protocol of each connection that comes to the admin port.

    `server` is aiohttp's, with its application; `timeout` gives the seconds in which a request must be there, and
    its answer be taken.
    """

    def __init__(self, server: web.Server, timeout: Callable[[], float], metrics: Metrics) -> None:
        self.server, self.timeout, self._refused = server, timeout, metrics.admin_refused
        for reason in REFUSALS:  # a rate does not see a counter that begins at 1
            self._refused.labels(reason)
        self.unfinished: dict[AdminConnection, None] = {}  # no request of theirs is in hand; longest first
        self._connections: set[AdminConnection] = set()
        self._rate = Rate()

    def __call__(self) -> "AdminConnection":
        return AdminConnection(self)

    def __len__(self) -> int:
        return len(self._connections)

    def joined(self, connection: "AdminConnection") -> bool:
        """One more; whether there is room for it."""
        has_room = len(self) < ADMIN_CONNECTIONS
        if not has_room and self.unfinished:
            next(iter(self.unfinished)).turn_away(_NO_ROOM)
            has_room = True
        self._connections.add(connection)
        return has_room

    def left(self, connection: "AdminConnection") -> None:
        """One is gone."""
        self._connections.discard(connection)
        self.unfinished.pop(connection, None)

    def refuse(self, error: RefusedError, peer: object, **facts: str | None) -> None:
        """Count one that is turned down, and log it."""
        self._refused.labels(error.reason).inc()
        if self._rate.take(_LOGGED):
            log.warning("refused on the admin port", peer=peer, reason=error.reason, why=error.logged, **facts)


class AdminConnection(web.RequestHandler):
    """One connection: request by request, each in time."""

    __slots__ = ("_deadline", "_in_hand", "_owner", "_quiet")

    def __init__(self, owner: AdminConnections) -> None:
        super().__init__(
            owner.server,
            loop=asyncio.get_running_loop(),
            access_log=None,  # type: ignore[arg-type] # aiohttp's own runners do the same
            keepalive_timeout=_KEEP_ALIVE,
            lingering_time=_LINGERING,
        )
        self._owner = owner
        self._deadline: asyncio.TimerHandle | None = None
        self._in_hand = False  # a request is there, and is worked on
        self._quiet = False  # an answer has gone out: what is said besides would be taken for the next one

    @property
    def peer(self) -> str:
        """The address it comes from."""
        return str((self.peername or "?")[0])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there, and has to make its request soon."""
        self.transport = cast("asyncio.Transport", transport)
        _ = self.peername  # aiohttp keeps it: a transport that is closed cannot be asked any more
        has_room = self._owner.joined(self)
        super().connection_made(transport)
        if has_room:
            self._expect()
        else:
            self.turn_away(_NO_ROOM)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is gone."""
        self._stop_waiting()
        self._owner.left(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of a request: from the first one on it has to be there in time."""
        if self._deadline is None and not self._in_hand:
            self._expect()
        super().data_received(data)

    def refuse(self, error: RefusedError, path: str) -> None:
        """Count a request that is not answered, and log it."""
        self._owner.refuse(error, self.peer, path=path)

    def in_hand(self) -> None:
        """A whole request is there."""
        self._stop_waiting()
        self._in_hand = True
        self._owner.unfinished.pop(self, None)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Answer, to a peer that takes the answer in time."""
        self._quiet, self._in_hand = True, False
        self._expect()
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self._stop_waiting()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A request that is none, or our own fault."""
        if status == RefusalReason.MALFORMED.status:
            self._owner.refuse(RefusedError(RefusalReason.MALFORMED, "malformed request"), self.peer)
        return super().handle_error(request, status, exc, message)

    def turn_away(self, error: RefusedError) -> None:
        """Let go of it: it is too late with its request, or another comes for which there would be no room."""
        self._owner.refuse(error, self.peer)
        self._stop_waiting()
        self._owner.unfinished.pop(self, None)
        if self.transport is not None:
            if not self._quiet:
                self.transport.write(refusals.plain(error))
            elif self.transport.get_write_buffer_size():  # it does not take what it asked for
                self.transport.abort()
        self.force_close()

    def _expect(self) -> None:
        self._stop_waiting()
        if self.transport is None:  # it is gone: its handler only learns of it now
            return
        self._owner.unfinished.pop(self, None)
        self._owner.unfinished[self] = None
        self._deadline = self._loop.call_later(self._owner.timeout(), self.turn_away, _SLOW)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
