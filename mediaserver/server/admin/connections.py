"""The TCP connections of the admin port: how many there may be, and how long a request may take.

File descriptors are reserved for `MAX_ADMIN_CONNECTIONS` connections, so that none takes a descriptor from a call.
If there are that many, a new connection evicts the oldest connection that handles no request. Such a connection
has received only part of a request, or is idle between two requests.
"""

import asyncio
from collections.abc import Callable
from typing import cast

import structlog
from aiohttp import web

from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.server.http import refusals
from mediaserver.server.http.descriptors import MAX_ADMIN_CONNECTIONS
from mediaserver.support.aiohttp_adapter import HttpProtocol
from mediaserver.support.metrics import Metrics
from mediaserver.support.rate_limit import RateLimiter

_KEEP_ALIVE = 75.0  # the most seconds between two requests of a connection: Prometheus often asks once a minute
_LINGERING = 1.0  # seconds for which the rest of a request is read if the answer was sent before it came
_LOGGED_LINES = 1  # the most log lines a second about refusals

# The cases in which the admin port refuses a request, by the reason of the refusal. docs/reference/refusals.md is
# generated from this table.
REFUSALS = {
    RefusalReason.MALFORMED: "the request is not HTTP, or its header `Host` or `Origin` is malformed",
    RefusalReason.UNAUTHORISED: "the port asks for a token, and the request has none, or a wrong one",
    RefusalReason.SCOPE: "the token lacks the scope that the request needs; see `admin.tokens`",
    RefusalReason.HOST: "the request has no token, and its `Host` is no name of the server; see `admin.hosts`",
    RefusalReason.ORIGIN: "the request has no token, and comes from a page of another site",
    RefusalReason.SLOW: "the request did not come, or its answer was not read, within `server.handshake_timeout`",
    RefusalReason.CONNECTIONS: (
        "the connection was closed for a newer one: there may be 32, of which 16 may be for requests that last"
    ),
}

_SLOW = RefusedError(RefusalReason.SLOW, "the request took too long")
_NO_ROOM = RefusedError(RefusalReason.CONNECTIONS, "too many connections to this port: try again later")

log = structlog.get_logger()


class AdminConnections:
    """All connections of the admin listener. Calling the object makes the asyncio protocol of a new connection.

    `server` is aiohttp's server, which runs the admin application. `timeout` returns a time limit in seconds: a
    request must come within it, and the peer must read the answer within it. There may be `limit` connections.
    """

    def __init__(
        self,
        server: web.Server,
        timeout: Callable[[], float],
        metrics: Metrics,
        limit: int = MAX_ADMIN_CONNECTIONS,
    ) -> None:
        self.server, self.timeout, self._refused = server, timeout, metrics.admin_refused
        for reason in REFUSALS:  # exports a 0 for each reason, because `rate()` ignores a counter's first value
            self._refused.labels(reason)
        self._limit = limit
        self.evictable: dict[AdminConnection, None] = {}  # connections that handle no request, oldest first
        self._connections: set[AdminConnection] = set()
        self._log_rate = RateLimiter()

    def __call__(self) -> "AdminConnection":
        return AdminConnection(self)

    def __len__(self) -> int:
        return len(self._connections)

    def track(self, connection: "AdminConnection") -> bool:
        """Count a new connection, and evict an old one if there are too many; False if the new one has no room."""
        has_room = len(self) < self._limit
        if not has_room and self.evictable:
            next(iter(self.evictable)).reject(_NO_ROOM)
            has_room = True
        self._connections.add(connection)
        return has_room

    def untrack(self, connection: "AdminConnection") -> None:
        """Stop counting a connection, because it is closed."""
        self._connections.discard(connection)
        self.evictable.pop(connection, None)

    def record_refusal(self, error: RefusedError, peer: object, **facts: str | None) -> None:
        """Count a refusal, and log it unless another was logged within the last second."""
        self._refused.labels(error.reason).inc()
        if self._log_rate.try_acquire(_LOGGED_LINES):
            log.warning("admin request refused", peer=peer, reason=error.reason, why=error.logged, **facts)


class AdminConnection(HttpProtocol):
    """One connection of the admin port. It carries one request after another, each within a time limit."""

    __slots__ = ("_answered", "_is_handling", "_owner", "_timeout")

    def __init__(self, owner: AdminConnections) -> None:
        super().__init__(
            owner.server,
            access_log=None,
            keepalive_timeout=_KEEP_ALIVE,
            lingering_time=_LINGERING,
        )
        self._owner = owner
        self._timeout: asyncio.TimerHandle | None = None
        self._is_handling = False  # True from the end of a request to the beginning of its answer
        # Whether an answer was sent on this connection. After an answer, `reject` sends no refusal, because the
        # peer would take the refusal for the answer to its next request.
        self._answered = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection if there is room, and start the time limit of its first request."""
        self.transport = cast("asyncio.Transport", transport)
        self.keep_addresses()
        has_room = self._owner.track(self)
        super().connection_made(transport)
        if has_room:
            self._start_timeout()
        else:
            self.reject(_NO_ROOM)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop the time limit of a connection that is closed, and count the connection no longer."""
        self._stop_timeout()
        self._owner.untrack(self)
        super().connection_lost(exc)

    def detach(self, receive: Callable[[bytes], None]) -> None:
        """Stop counting the connection: it leaves HTTP for a stream, and the media ports count it instead."""
        self._stop_timeout()
        self._owner.untrack(self)
        super().detach(receive)

    def data_received(self, data: bytes) -> None:
        """Parse bytes of a request. The time limit of a request begins with its first byte."""
        if self._timeout is None and not self._is_handling:
            self._start_timeout()
        super().data_received(data)

    def record_refusal(self, error: RefusedError, path: str) -> None:
        """Count and log the refusal of a request on this connection."""
        self._owner.record_refusal(error, self.remote_host, path=path)

    def on_request_read(self) -> None:
        """Stop the time limit of a request that has come, and keep its connection from being evicted."""
        self._stop_timeout()
        self._is_handling = True
        self._owner.evictable.pop(self, None)

    def extend_timeout(self) -> None:
        """Start the time limit anew, because part of a long body has come, such as of an uploaded file."""
        if not self._is_handling:
            self._start_timeout()

    def on_response_started(self) -> None:
        """Start the time limit of an answer that we begin to send: the peer must read the answer within it."""
        self._answered, self._is_handling = True, False
        self._start_timeout()

    def on_response_finished(self) -> None:
        """Stop the time limit of an answer that was sent, or that could not be sent."""
        self._stop_timeout()

    def on_request_error(self, status: int, error: BaseException | None) -> None:
        """Count and log a malformed request. aiohttp itself answers it, and logs errors of our own code."""
        if status == RefusalReason.MALFORMED.status:
            refused = RefusedError(RefusalReason.MALFORMED, "malformed request")
            self._owner.record_refusal(refused, self.remote_host)

    def reject(self, error: RefusedError) -> None:
        """Close a connection whose request took too long, or that is evicted to make room for another."""
        self._owner.record_refusal(error, self.remote_host)
        self._stop_timeout()
        self._owner.evictable.pop(self, None)
        if self.transport is not None:
            if not self._answered:
                self.transport.write(refusals.raw_response(error))
            elif self.transport.get_write_buffer_size():  # the peer does not read its answer
                self.transport.abort()
        self.disconnect()

    def _start_timeout(self) -> None:
        self._stop_timeout()
        if self.transport is None:  # the connection was lost while the request was handled
            return
        self._owner.evictable.pop(self, None)
        self._owner.evictable[self] = None
        self._timeout = asyncio.get_running_loop().call_later(self._owner.timeout(), self.reject, _SLOW)

    def _stop_timeout(self) -> None:
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
