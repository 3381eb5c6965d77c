"""The TCP connections of the media ports: how many, and how long one may take to say what it wants.

aiohttp reads the request. What it does not bound is bounded here, in bytes and in time. Then it is done with.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

import structlog
from aiohttp import web
from aiohttp.http_websocket import WebSocketReader

from mediaserver.config.listener_settings import ServerSettings
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.server.http import refusals
from mediaserver.server.http.descriptors import most_connections
from mediaserver.server.http.refusals import Refusals
from mediaserver.server.http.replaceable import NO_ROOM, Other, Waiting, replace_oldest
from mediaserver.support.metrics import Metrics
from mediaserver.support.rate_limit import Rate
from mediaserver.transport.connection import abort, bound_send_buffer
from mediaserver.transport.upgraded import Upgraded

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_TO_BE_REFUSED = 50  # connections accepted beyond the limit, to be told so
_SETTLE = 0.005  # seconds between looks at handshakes under way

log = structlog.get_logger()


class Connections(web.Server):
    """Makes the protocol of each connection that comes to the public listener, and knows those of all media ports.

    `handle` is given the one request that a connection may make; `settings` gives the limits in force.
    """

    def __init__(self, handle: Handle, settings: Callable[[], ServerSettings], metrics: Metrics) -> None:
        super().__init__(handle)
        self.settings, self.metrics, self.refusals = settings, metrics, Refusals(metrics)
        self.handshakes = Rate()  # of those that may dial
        self.pending: Waiting = {}  # those whose handshake is under way
        self.silent: Waiting = {}  # those that are to begin TLS, and have said nothing
        self.leaving: Waiting = {}  # those that are refused, and not gone yet
        self._asking: set[web.RequestHandler] = set()  # not upgraded, and there; aiohttp forgets them later
        self._upgraded: set[Upgraded] = set()
        self._streaming: set[asyncio.Task[None]] = set()
        self._others: set[Other] = set()
        self._opening: dict[object, float] = {}  # accepted, but their transport is not there yet; since when

    def __call__(self) -> "Connection":
        connection = Connection(self)
        self.expect(connection)
        return connection

    def expect(self, connection: object) -> None:
        """One has been accepted, and will be there in the next turn of the event loop."""
        self._opening[connection] = asyncio.get_running_loop().time()

    def __len__(self) -> int:
        """Connections that there are, streams included."""
        return len(self._asking) + len(self._upgraded) + len(self._others)

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """One more."""
        super().connection_made(handler, transport)
        self._asking.add(handler)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """One that asks for nothing any more."""
        super().connection_lost(handler, exc)
        self._asking.discard(handler)

    def joined(self, connection: Other) -> bool:
        """One more of another media port; whether there is room for it."""
        has_room = self.make_room(connection)
        self._others.add(connection)
        return has_room

    def joined_silent(self, connection: Other) -> None:
        """One more that is to begin TLS. Some may come beyond the limit: they can only be told by TLS."""
        self._opening.pop(connection, None)
        if len(self) >= most_connections() + _TO_BE_REFUSED / 2:
            replace_oldest(self.silent, self.pending)
        self._others.add(connection)
        self.silent[connection] = None

    def securing(self, connection: Other) -> None:
        """It has begun TLS."""
        self.silent.pop(connection, None)
        self.pending[connection] = None

    def left(self, connection: Other) -> None:
        """One of another media port is gone, or one that was in the handshake of TLS."""
        self._others.discard(connection)
        for waiting in (self.silent, self.pending, self.leaving, self._opening):
            waiting.pop(connection, None)

    def take_over(self, transport: asyncio.Transport) -> Upgraded:
        """A connection goes on as a stream."""
        upgraded = Upgraded(transport, self.settings().max_message_bytes, self._upgraded.discard)
        self._upgraded.add(upgraded)
        return upgraded

    def spawn(self, stream: Coroutine[Any, Any, None], over: Callable[[], None]) -> None:
        """Run a stream, past the request that it came by; `over` is called at its end, even if it never began."""
        task = asyncio.create_task(stream)
        self._streaming.add(task)
        task.add_done_callback(lambda task: self._over(task, over))

    def _over(self, task: asyncio.Task[None], over: Callable[[], None]) -> None:
        self._streaming.discard(task)
        over()
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("stream failed", exc_info=error)

    async def shutdown(self, timeout: float | None = None) -> None:
        """Let go of all connections; streams have so many seconds to get over it."""
        for task in self._streaming:
            task.cancel()
        if self._streaming:
            await asyncio.wait(self._streaming, timeout=timeout)
        for upgraded in self._upgraded:
            if upgraded.transport is not None:
                abort(upgraded.transport)
        for other in self._others:
            other.abort()
        await super().shutdown(timeout)

    @property
    def has_room(self) -> bool:
        """Whether there are descriptors for more to be accepted."""
        # A transport that could not be made of an accepted socket is told to nobody: it counts for a while.
        stale = asyncio.get_running_loop().time() - self.settings().handshake_timeout
        while self._opening and next(iter(self._opening.values())) < stale:
            del self._opening[next(iter(self._opening))]
        return len(self) + len(self._opening) < most_connections() + _TO_BE_REFUSED

    def make_room(self, made: object) -> bool:
        """Whether there are descriptors for this one; one that is refused, or has not asked yet, goes first."""
        self._opening.pop(made, None)
        if len(self) < most_connections():
            return True
        has_room = len(self) - len(self.leaving) < most_connections()
        if has_room or len(self.leaving) > _TO_BE_REFUSED / 2:
            replace_oldest(self.leaving)
        else:
            has_room = replace_oldest(self.silent, self.pending)
        return has_room

    @property
    def unfinished(self) -> int:
        """Connections whose handshake is under way."""
        return len(self.silent) + len(self.pending)

    async def wait_for_handshakes(self, seconds: float) -> None:
        """Wait until those that have come have made their request, or for so long."""
        for _ in range(round(seconds / _SETTLE)):
            if not self.unfinished and not self._opening:
                return
            await asyncio.sleep(_SETTLE)


class Connection(web.RequestHandler):
    """One connection that has yet to say what it wants, in time."""

    __slots__ = ("_deadline", "_owner", "_received")

    def __init__(self, owner: Connections) -> None:
        self._owner, limits = owner, owner.settings()
        super().__init__(
            owner,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=0,  # there is one request, and `_deadline` is its time limit
            max_line_size=limits.max_header_bytes,
            max_field_size=limits.max_header_bytes,
            lingering_time=0,
        )
        self._received = 0  # bytes
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def peer(self) -> str:
        """The address it comes from."""
        return str((self.peername or "?")[0])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there, and has to say soon what it wants."""
        self.transport = cast("asyncio.Transport", transport)
        if not self._owner.make_room(self):
            self.turn_away(NO_ROOM)
            return
        super().connection_made(transport)
        # aiohttp keeps these: a transport that is closed cannot be asked any more.
        _ = self.peername, self.sockname, self.ssl_context
        bound_send_buffer(transport)
        self._owner.pending[self] = None
        self._deadline = self._loop.call_later(self._owner.settings().handshake_timeout, self._too_late)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is gone."""
        self.handshake_done()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of its request. What comes right behind, before the answer, counts as well."""
        self._received += len(data)
        if self._received >= self._owner.settings().max_header_bytes:
            self._too_large()
        else:
            super().data_received(data)

    def upgrade(self, answer: bytes) -> Upgraded:
        """Answer the handshake, and go on as a stream; ConnectionResetError where the peer is gone.

        aiohttp's part ends here: as far as it can tell, the peer has left.
        """
        transport = self.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError
        transport.write(answer)
        upgraded = self._owner.take_over(transport)
        self.set_parser(cast("WebSocketReader", _Behind(upgraded)))
        self.transport = None
        super().connection_lost(None)
        return upgraded

    def handshake_done(self) -> None:
        """Its request is there, or it is gone."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self._owner.pending.pop(self, None)

    def turn_away(self, error: RefusedError) -> None:
        """Let go of it before it has made its request."""
        self._owner.refusals.count(error, self.peer)
        self.handshake_done()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.write(refusals.plain(error))
        self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """A request that is none, or our own fault. aiohttp would log the request as it stands, with its token."""
        self.handshake_done()
        if status != RefusalReason.MALFORMED.status:
            log.error("request failed", peer=self.peer, exc_info=exc)
            return web.Response(status=status, text="it is not your fault\n", headers={"Connection": "close"})
        if exc is not None:
            exc.__traceback__ = None  # or it would refer to itself by way of aiohttp's frames
        self._owner.metrics.peer_faults.labels("malformed-request").inc()
        error = RefusedError(RefusalReason.MALFORMED, f"malformed request: {type(exc).__name__}")
        self._owner.refusals.count(error, self.peer)
        return refusals.response(error)

    def _too_late(self) -> None:
        self._owner.metrics.peer_faults.labels("slow-handshake").inc()
        self.turn_away(RefusedError(RefusalReason.SLOW_HANDSHAKE, "the request took too long"))

    def _too_large(self) -> None:
        limit = self._owner.settings().max_header_bytes
        self.turn_away(RefusedError(RefusalReason.HEADERS, f"the request's head is larger than {limit} bytes"))


class _Behind:
    """Passes on what came right behind a handshake; aiohttp takes it for a parser."""

    def __init__(self, upgraded: Upgraded) -> None:
        self._upgraded = upgraded

    def feed_data(self, data: bytes) -> None:
        """All there is. aiohttp would look at an answer, but has nobody to read for any more."""
        self._upgraded.data_received(data)

    def feed_eof(self) -> None:
        """Of the request, not of the stream."""
