"""The TLS handshake of an accepted connection.

asyncio's own TLS server (`create_server(ssl=…)`) does not report a connection whose handshake fails, and does not
let us close it. This server counts and limits all its connections, so it starts the handshakes itself.
"""

import asyncio
import ssl
from collections import deque
from typing import cast

from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.server.http.connections import Connections
from mediaserver.transport.held_writes import HeldWrites
from mediaserver.transport.tls_transport import TlsTransport


class TlsHandshakeFactory:
    """The protocol factory of a port that speaks TLS.

    At most one handshake starts in a turn of the event loop: each takes about a millisecond, and streams must get
    their turns in between.
    """

    def __init__(self, connections: Connections, context: ssl.SSLContext, writes: HeldWrites) -> None:
        self.connections, self.context, self.writes = connections, context, writes
        self._queue: deque[TlsHandshake] = deque()

    def __call__(self) -> "TlsHandshake":
        return TlsHandshake(self)

    def schedule(self, handshake: "TlsHandshake") -> None:
        """Start a handshake once all handshakes that were scheduled earlier have started."""
        self._queue.append(handshake)
        if len(self._queue) == 1:
            asyncio.get_running_loop().call_soon(self._start_next)

    def _start_next(self) -> None:
        handshake = self._queue.popleft()
        if self._queue:
            asyncio.get_running_loop().call_soon(self._start_next)
        handshake.start()


class TlsHandshake(asyncio.Protocol):
    """The protocol of a media port's connection until its TLS handshake is done. HTTP's protocol then replaces it.

    TLS begins only when the peer's first bytes come. A peer that closes before, or sends nothing, costs no more
    than a peer without TLS.
    """

    __slots__ = ("_connections", "_factory", "_first", "_peer", "_timeout", "_transport")

    def __init__(self, factory: TlsHandshakeFactory) -> None:
        self._factory, self._connections = factory, factory.connections
        self._transport: asyncio.Transport | None = None  # the TCP connection, until the handshake is done
        self._peer = "?"
        self._timeout: asyncio.TimerHandle | None = None
        self._first = b""  # the first bytes that came
        self._connections.on_accepted(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the new TCP connection, and limit its time."""
        self._transport = cast("asyncio.Transport", transport)
        self._peer = str((transport.get_extra_info("peername") or "?")[0])
        timeout = self._connections.settings().handshake_timeout
        self._timeout = asyncio.get_running_loop().call_later(timeout, self._on_timeout)
        self._connections.track_awaiting_tls(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Clean up after a connection that was closed before its handshake has started."""
        self._finish()

    def data_received(self, data: bytes) -> None:
        """Keep the peer's first bytes, and schedule the handshake. TLS gets later bytes itself."""
        if not self._first and self._transport is not None:
            self._transport.pause_reading()
            self._connections.on_tls_started(self)
            self._factory.schedule(self)
        self._first += data

    def start(self) -> None:
        """Start the handshake, unless the connection was rejected meanwhile."""
        if self._transport is not None and not self._transport.is_closing():
            tls = TlsTransport(self._transport, self._factory.context, self._on_handshake, self._factory.writes)
            self._transport.resume_reading()
            tls.data_received(self._first)

    def reject(self, error: RefusedError) -> None:
        """Count a refusal, and reset the connection. Without a finished TLS handshake, the peer cannot be told
        why.
        """
        self._connections.refusals.record(error, self._peer)
        self.abort()

    def abort(self) -> None:
        """Reset the connection."""
        if self._transport is not None:
            self._transport.abort()

    def _on_handshake(self, transport: TlsTransport, error: OSError | None) -> None:
        """Begin to speak HTTP. If the handshake has failed, count and log a refusal, unless the peer has left."""
        self._finish()
        if error is None:
            protocol = self._connections()
            transport.set_protocol(protocol)
            protocol.connection_made(transport)
        elif isinstance(error, ssl.SSLError):
            reason = (error.reason or "no TLS").replace("_", " ").lower()
            failed = RefusedError(RefusalReason.TLS, f"the TLS handshake failed: {reason}")
            self._connections.refusals.record(failed, self._peer)

    def _on_timeout(self) -> None:
        self._connections.metrics.peer_faults.labels("slow-handshake").inc()
        self.reject(RefusedError(RefusalReason.SLOW_HANDSHAKE, "the TLS handshake took too long"))

    def _finish(self) -> None:
        """Clean up: the handshake is done or has failed, or the connection is closed."""
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
        self._transport = None
        self._connections.untrack(self)
