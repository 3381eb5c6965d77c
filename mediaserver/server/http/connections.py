"""The TCP connections of the media ports: how many there may be, and how long a handshake may take.

aiohttp reads the HTTP request. This module limits the request's size and time, which aiohttp does not. After the
WebSocket handshake, a connection leaves aiohttp, and goes on as a `WebSocketConnection`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

import structlog
from aiohttp import web

from mediaserver.config.listener_settings import ServerSettings
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.server.http import refusals
from mediaserver.server.http.descriptors import max_connections
from mediaserver.server.http.eviction import NO_ROOM, EvictionQueue, TrackedConnection, evict_oldest
from mediaserver.server.http.refusals import Refusals
from mediaserver.support.aiohttp_adapter import HttpProtocol, HttpServer
from mediaserver.support.metrics import Metrics
from mediaserver.support.rate_limit import RateLimiter
from mediaserver.transport.connection import abort, bound_send_buffer
from mediaserver.transport.websocket_connection import WebSocketConnection

RequestHandler = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_REFUSAL_HEADROOM = 50  # number of connections accepted beyond the limit, to tell their peers of the refusal
# What a peer speaks, by the first bytes that it sends (of TLS: RFC 8446, section 5.1), if it has misdialled.
_OTHER_PROTOCOLS = {
    b"\x16\x03": "the peer speaks TLS, and this port does not: let it dial ws://, or set [tls]",
    b"\x01\x00\x10": "the peer speaks AudioSocket: let it dial a port of [audiosocket]",
}
_TELLING = max(map(len, _OTHER_PROTOCOLS))  # number of first bytes that tell what a peer speaks
_POLL_INTERVAL = 0.005  # seconds between two checks whether handshakes are in progress

log = structlog.get_logger()


class Connections(HttpServer):
    """All connections of the media ports. Calling the object makes the asyncio protocol of a new HTTP connection.

    `handle_request` handles the one request that a connection may make. `settings` returns the limits in force.
    `run_overdue` sends the frames of all streams that are overdue.
    """

    def __init__(
        self,
        handle_request: RequestHandler,
        settings: Callable[[], ServerSettings],
        metrics: Metrics,
        run_overdue: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(handle_request)
        self._run_overdue = run_overdue
        self.settings, self.metrics, self.refusals = settings, metrics, Refusals(metrics)
        self.handshake_rate = RateLimiter()  # limits the rate of handshakes of peers that have access
        self.handshaking: EvictionQueue = {}  # connections whose TLS handshake, request or UUID is not complete
        self.awaiting_tls: EvictionQueue = {}  # connections to a TLS port whose peers have sent nothing yet
        self.refused: EvictionQueue = {}  # refused connections that their peers have not closed yet
        self._http: set[object] = set()  # connections that speak HTTP; aiohttp's own list keeps closed ones longer
        self._websockets: set[WebSocketConnection] = set()
        self._stream_tasks: dict[asyncio.Task[None], Callable[[], None]] = {}  # with what is called at the end
        self._tracked: set[TrackedConnection] = set()
        self._accepted: dict[
            object, float
        ] = {}  # connections that have no transport yet, and when each was accepted

    def __call__(self) -> "HttpConnection":
        connection = HttpConnection(self)
        self.on_accepted(connection)
        return connection

    def admit_handshake(self) -> None:
        """Count a handshake of a peer with access; RefusedError (busy) beyond `server.handshake_rate` a second."""
        if not self.handshake_rate.try_acquire(self.settings().handshake_rate):
            raise RefusedError(RefusalReason.BUSY, "too many calls at once: try again in a second")

    def on_accepted(self, connection: object) -> None:
        """Note that a connection was accepted. asyncio makes its transport in the next turn of the event loop."""
        self._accepted[connection] = asyncio.get_running_loop().time()

    def __len__(self) -> int:
        """How many connections there are, including those that carry a stream."""
        return len(self._http) + len(self._websockets) + len(self._tracked)

    def on_connected(self, connection: object) -> None:
        """Count a connection that begins to speak HTTP."""
        self._http.add(connection)

    def on_disconnected(self, connection: object) -> None:
        """Stop counting a connection as HTTP, because it is closed, or has become a WebSocket."""
        self._http.discard(connection)

    def track(self, connection: TrackedConnection) -> bool:
        """Count a connection that does not speak HTTP, such as AudioSocket's; False if there is no room for it."""
        has_room = self.make_room(connection)
        self._tracked.add(connection)
        return has_room

    def track_awaiting_tls(self, connection: TrackedConnection) -> None:
        """Count a connection whose peer has not begun its TLS handshake.

        Some connections beyond the limit are also kept, because a peer can be told of a refusal only after the TLS
        handshake.
        """
        self._accepted.pop(connection, None)
        if len(self) >= max_connections() + _REFUSAL_HEADROOM / 2:
            evict_oldest(self.awaiting_tls, self.handshaking)
        self._tracked.add(connection)
        self.awaiting_tls[connection] = None

    def on_tls_started(self, connection: TrackedConnection) -> None:
        """Note that a connection's peer has begun its TLS handshake."""
        self.awaiting_tls.pop(connection, None)
        self.handshaking[connection] = None

    def untrack(self, connection: TrackedConnection) -> None:
        """Stop counting a tracked connection, because it is closed, or because its TLS handshake is done."""
        self._tracked.discard(connection)
        for waiting in (self.awaiting_tls, self.handshaking, self.refused, self._accepted):
            waiting.pop(connection, None)

    def upgrade(self, http: HttpProtocol, response: bytes) -> WebSocketConnection:
        """Make an HTTP connection a WebSocket: send the handshake's `response`, and count it among the WebSockets.

        The connection belongs to a media port, or to the admin port. ConnectionResetError if the peer is gone.
        """
        transport = http.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        bound_send_buffer(transport)
        transport.write(response)
        limit = self.settings().max_message_bytes
        websocket = WebSocketConnection(transport, limit, self._websockets.discard, run_overdue=self._run_overdue)
        self._websockets.add(websocket)
        http.detach(websocket.data_received)
        return websocket

    def run_stream(self, stream: Coroutine[Any, Any, None], on_done: Callable[[], None]) -> asyncio.Task[None]:
        """Run a stream in a task of its own, and return it. `on_done` is called when the task ends, even if the
        stream never began.
        """
        task = asyncio.create_task(stream)
        self._stream_tasks[task] = on_done
        task.add_done_callback(self._on_stream_done)
        return task

    def _on_stream_done(self, task: asyncio.Task[None]) -> None:
        on_done = self._stream_tasks.pop(task)
        on_done()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("stream failed", exc_info=error)

    async def shutdown(self, timeout: float | None = None) -> None:
        """Cancel all streams, give them `timeout` seconds to end, and reset all connections."""
        for task in self._stream_tasks:
            task.cancel()
        if self._stream_tasks:
            await asyncio.wait(self._stream_tasks, timeout=timeout)
        for websocket in self._websockets:
            abort(websocket.transport)
        for connection in self._tracked:
            connection.abort()
        await super().shutdown(timeout)

    @property
    def has_room(self) -> bool:
        """Whether there are enough file descriptors to accept another connection."""
        # asyncio does not tell us if it fails to make a transport for an accepted socket. Therefore, a socket
        # without a transport counts only for `handshake_timeout` seconds.
        stale = asyncio.get_running_loop().time() - self.settings().handshake_timeout
        while self._accepted and next(iter(self._accepted.values())) < stale:
            del self._accepted[next(iter(self._accepted))]
        return len(self) + len(self._accepted) < max_connections() + _REFUSAL_HEADROOM

    def make_room(self, connection: object) -> bool:
        """Whether a new connection may be kept. If file descriptors run out, another connection is evicted for it.

        Only a connection that is refused, or still in its handshake, can be evicted.
        """
        self._accepted.pop(connection, None)
        if len(self) < max_connections():
            return True
        has_room = len(self) - len(self.refused) < max_connections()
        if has_room or len(self.refused) > _REFUSAL_HEADROOM / 2:
            evict_oldest(self.refused)
        else:
            has_room = evict_oldest(self.awaiting_tls, self.handshaking)
        return has_room

    @property
    def handshakes_in_progress(self) -> int:
        """How many connections of the media ports have not completed their handshake."""
        return len(self.awaiting_tls) + len(self.handshaking)

    async def wait_for_handshakes(self, timeout: float) -> None:
        """Wait until all accepted connections have finished their handshake, for at most `timeout` seconds."""
        for _ in range(round(timeout / _POLL_INTERVAL)):
            if not self.handshakes_in_progress and not self._accepted:
                return
            await asyncio.sleep(_POLL_INTERVAL)


class HttpConnection(HttpProtocol):
    """One HTTP connection of a media port, until its WebSocket handshake is done or refused.

    The handshake may take `server.handshake_timeout` seconds.
    """

    __slots__ = ("_beginning", "_owner", "_received", "_timeout")

    def __init__(self, owner: Connections) -> None:
        self._owner, limits = owner, owner.settings()
        super().__init__(
            owner,
            keepalive_timeout=0,  # a connection makes one request, and `_timeout` limits its time
            max_line_size=limits.max_header_bytes,
            max_field_size=limits.max_header_bytes,
            lingering_time=0,
        )
        self._received = 0  # number of bytes received from the peer so far
        self._beginning = b""  # the first bytes of them
        self._timeout: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection if there is room, and start the time limit of its request."""
        self.transport = cast("asyncio.Transport", transport)
        if not self._owner.make_room(self):
            self.reject(NO_ROOM)
            return
        super().connection_made(transport)
        self.keep_addresses()
        self._owner.handshaking[self] = None
        timeout = self._owner.settings().handshake_timeout
        self._timeout = asyncio.get_running_loop().call_later(timeout, self._on_timeout)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Stop the time limit of a connection that is closed."""
        self.on_request_read()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse bytes of the request. Bytes that follow the request count towards its size limit, too."""
        self._beginning = self._beginning or data[:_TELLING]
        self._received += len(data)
        if self._received >= self._owner.settings().max_header_bytes:
            limit = self._owner.settings().max_header_bytes
            self.reject(RefusedError(RefusalReason.HEADERS, f"the request's head is larger than {limit} bytes"))
        else:
            super().data_received(data)

    def on_request_read(self) -> None:
        """Stop the time limit of the request: the request has come, or the connection is closed."""
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
            self._owner.handshaking.pop(self, None)

    def reject(self, error: RefusedError) -> None:
        """Refuse the connection before its request has come: tell the peer why, and close the connection."""
        self._owner.refusals.record(error, self.remote_host)
        self.on_request_read()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(refusals.raw_response(error))
        self.disconnect()

    def on_request_error(self, status: int, error: BaseException | None) -> web.StreamResponse:
        """Answer a malformed or failed request. aiohttp itself would log the whole request, even a token in it."""
        self.on_request_read()
        if status == 500:
            log.error("request failed", peer=self.remote_host, exc_info=error)
            return web.Response(status=500, text="the server has failed\n", headers={"Connection": "close"})
        if error is not None:
            error.__traceback__ = None  # breaks a reference cycle: the traceback's frames refer to the error
        self._owner.metrics.peer_faults.labels("malformed-request").inc()
        spoken = next((why for begins, why in _OTHER_PROTOCOLS.items() if self._beginning.startswith(begins)), "")
        refused = RefusedError(RefusalReason.MALFORMED, spoken or f"malformed request: {type(error).__name__}")
        self._owner.refusals.record(refused, self.remote_host)
        return refusals.response(refused)

    def _on_timeout(self) -> None:
        self._owner.metrics.peer_faults.labels("slow-handshake").inc()
        self.reject(RefusedError(RefusalReason.SLOW_HANDSHAKE, "the request took too long"))
