"""The TCP connections of the public listener: how many, how long one may take to say what it wants, and how much
it may say then.

aiohttp reads requests and WebSocket frames. What it does not bound is bounded here, in bytes, before it has them.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import cast

import structlog
from aiohttp import web

from mediaserver.errors import RefusedError
from mediaserver.metrics import Metrics
from mediaserver.server import refusals
from mediaserver.server.descriptors import most_connections
from mediaserver.server.refusals import Refusals
from mediaserver.session import CloseCode, End, EndReason
from mediaserver.settings import ServerSettings
from mediaserver.streams.connection import Reader, abort, prepare

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]
_SLICE = 4096  # bytes: some hundred of the tiniest frames, a millisecond's work
_MOST = 512 * 1024  # bytes that may wait for being read
_TO_BE_REFUSED = 50  # connections accepted beyond the limit, to be told so
_SETTLE = 0.005  # seconds between looks at handshakes under way

log = structlog.get_logger()


class Connections(web.Server):
    """Makes the protocol of each connection that comes in, and knows them all.

    `handle` is given the one request that a connection may make; `settings` gives the limits in force.
    """

    def __init__(self, handle: Handle, settings: Callable[[], ServerSettings], metrics: Metrics) -> None:
        super().__init__(handle)
        self.settings, self.metrics, self.refusals = settings, metrics, Refusals(metrics)
        self.pending: dict[Connection, None] = {}  # those that have not made their request, oldest first
        self._opening: dict[Connection, float] = {}  # accepted, and perhaps in the handshake of TLS; since when

    def __call__(self) -> "Connection":
        connection = Connection(self)
        self._opening[connection] = asyncio.get_running_loop().time()
        return connection

    @property
    def has_room(self) -> bool:
        """Whether there are descriptors for more to be accepted.

        Where TLS fails with a connection nobody says so; it counts until its handshake would be over.
        """
        stale = asyncio.get_running_loop().time() - self.settings().handshake_timeout
        while self._opening and next(iter(self._opening.values())) < stale:
            del self._opening[next(iter(self._opening))]
        return len(self._connections) + len(self._opening) < most_connections() + _TO_BE_REFUSED

    def make_room(self, made: "Connection") -> bool:
        """Whether there are descriptors for this one; who dawdles over the handshake has to go first."""
        self._opening.pop(made, None)
        if len(self._connections) < most_connections():
            return True
        if not self.pending:
            return False
        next(iter(self.pending)).turn_away(_NO_ROOM)
        return True

    async def wait_for_handshakes(self, seconds: float) -> None:
        """Wait until those that are there have made their request, or for so long."""
        for _ in range(round(seconds / _SETTLE)):
            if not self.pending:
                return
            await asyncio.sleep(_SETTLE)


_NO_ROOM = RefusedError(503, "too many connections: try again later", "descriptors")


class Connection(web.RequestHandler):
    """One connection: a handshake in time, then a stream that is watched for more than a peer may send."""

    __slots__ = ("_deadline", "_dropped", "_finish", "_look", "_look_at", "_lost", "_owner", "_rest", "received")

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
        self.received = 0  # bytes
        self._rest = bytearray()  # not read yet
        self._dropped = False
        self._finish: Callable[[End], None] = lambda end: None  # the stream, where there is one
        self._lost: tuple[BaseException | None] | None = None
        self._look: Callable[[], None] = self._too_large
        self._look_at: float = limits.max_header_bytes
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def peer(self) -> str:
        """The address it comes from."""
        return str((self.peername or "?")[0])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there, and has to say soon what it wants."""
        self.transport = cast("asyncio.Transport", transport)
        if not self._owner.make_room(self):
            self.turn_away(_NO_ROOM)
            return
        super().connection_made(transport)
        # aiohttp keeps these: a transport that is closed cannot be asked any more.
        _ = self.peername, self.sockname, self.ssl_context
        prepare(self.transport)
        self._owner.pending[self] = None
        self._deadline = self._loop.call_later(self._owner.settings().handshake_timeout, self._too_late)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is gone; what it said before is still to be read, and a request in that to be taken up."""
        self.handshake_done()
        if self._rest and not self._dropped:
            self._lost = (exc,)
        else:
            self._loop.call_soon(super().connection_lost, exc)

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer: of its request, then of its stream.

        Much at once, such as a flood of tiny frames, is read in slices: other streams have their turns between.
        """
        if self._rest:
            self._rest += data
            if len(self._rest) > _MOST:
                self._drop(EndReason.FLOOD)
        elif len(data) > _SLICE:
            self._rest = bytearray(data)
            self._read_slice()
        else:
            self._read(data)

    def _read_slice(self) -> None:
        part = bytes(self._rest[:_SLICE])
        del self._rest[:_SLICE]
        self._read(part)
        if self._rest and not self._dropped:
            self._loop.call_soon(self._read_slice)
        elif self._lost is not None:
            self._loop.call_soon(super().connection_lost, *self._lost)

    def _read(self, data: bytes) -> None:
        self.received += len(data)
        if self.received >= self._look_at:
            self._look()
        super().data_received(data)

    def handshake_done(self) -> None:
        """Its request is there, or it is gone."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
            self._owner.pending.pop(self, None)
            self._look_at = math.inf

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
        if status == 500:
            log.error("request failed", peer=self.peer, exc_info=exc)
            return web.Response(status=500, text="it is not your fault\n", headers={"Connection": "close"})
        self._owner.metrics.peer_faults.labels("malformed-request").inc()
        error = RefusedError(status, f"malformed request: {type(exc).__name__}", "malformed")
        self._owner.refusals.count(error, self.peer)
        return refusals.response(error)

    def _too_late(self) -> None:
        self._owner.metrics.peer_faults.labels("slow-handshake").inc()
        self.turn_away(RefusedError(408, "the request took too long", "slow-handshake"))

    def _too_large(self) -> None:
        limit = self._owner.settings().max_header_bytes
        self.turn_away(RefusedError(431, f"the request's head is larger than {limit} bytes", "headers"))

    def watch(self, reader: Reader, finish: Callable[[End], None]) -> None:
        """End the stream of a peer that sends without an end: fragments of no message, or more than can be read.

        How many messages it may send is the reader's to count; that one sees whole ones only.
        """
        step = 2 * (self._owner.settings().max_message_bytes + _SLICE)  # in so much there is the end of a message
        messages = 0

        def look() -> None:
            nonlocal messages
            self._look_at = self.received + step
            if reader.messages == messages:
                self._drop(EndReason.OVERSIZE)
            messages = reader.messages

        self._look, self._look_at, self._finish = look, self.received + step, finish

    def unwatch(self) -> None:
        """The stream is over: nobody counts its messages any more."""
        self._look_at = math.inf

    def _drop(self, reason: EndReason) -> None:
        self._dropped = True
        self._finish(End(reason, CloseCode.ABNORMAL))
        if self.transport is not None:
            abort(self.transport)
