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

_SHUTDOWN_TIMEOUT = 1.0  # seconds for the peer to answer close_notify, which ends TLS


class TlsHandshakeFactory:
    """The protocol factory of a port that speaks TLS.

    At most one handshake starts in a turn of the event loop: each takes about a millisecond, and streams must get
    their turns in between.
    """

    def __init__(self, connections: Connections, context: ssl.SSLContext) -> None:
        self.connections, self.context = connections, context
        self._queue: deque[TlsHandshake] = deque()

    def __call__(self) -> "TlsHandshake":
        return TlsHandshake(self)

    def schedule(self, handshake: "TlsHandshake") -> None:
        """Start a handshake once all handshakes that were scheduled earlier have started."""
        self._queue.append(handshake)
        if len(self._queue) == 1:
            asyncio.get_running_loop().call_soon(self._start_next)

    def _start_next(self) -> None:
        self._queue[0].start()
        self._queue.popleft()
        if self._queue:
            asyncio.get_running_loop().call_soon(self._start_next)


class TlsHandshake(asyncio.Protocol):
    """The protocol of a media port's connection until its TLS handshake is done. HTTP's protocol then replaces it.

    TLS begins only when the peer's first bytes come. A peer that closes before, or sends nothing, costs no more
    than a peer without TLS.
    """

    __slots__ = ("_connections", "_early_data", "_factory", "_loop", "_peer", "_task", "_timeout", "_transport")

    def __init__(self, factory: TlsHandshakeFactory) -> None:
        self._factory, self._connections = factory, factory.connections
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None  # the TCP connection, until the handshake is done
        self._peer = "?"
        self._task: asyncio.Task[None] | None = None
        self._timeout: asyncio.TimerHandle | None = None
        self._early_data = b""  # the first bytes of TLS; later, the decrypted bytes that followed the handshake
        self._connections.on_accepted(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the new TCP connection, and limit its time. asyncio does not call this again for TLS."""
        self._transport = cast("asyncio.Transport", transport)
        self._peer = str((transport.get_extra_info("peername") or "?")[0])
        self._timeout = self._loop.call_later(self._connections.settings().handshake_timeout, self._on_timeout)
        self._connections.track_awaiting_tls(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Clean up after a closed connection. `_handshake` cleans up if asyncio omits this call during a
        handshake.
        """
        self._finish()

    def data_received(self, data: bytes) -> None:
        """Keep the peer's first bytes, and schedule the handshake.

        Later calls bring decrypted bytes that followed the handshake. They are kept for HTTP's protocol.
        """
        is_first, self._early_data = not self._early_data, self._early_data + data
        if is_first and self._task is None and self._transport is not None:
            self._transport.pause_reading()
            self._connections.on_tls_started(self)
            self._factory.schedule(self)

    def start(self) -> None:
        """Start the handshake, unless the connection was rejected meanwhile."""
        transport, first, self._early_data = self._transport, self._early_data, b""
        if transport is not None and not transport.is_closing():
            self._task = self._loop.create_task(self._handshake(transport))
            # The task runs first. In it, `start_tls` schedules two callbacks: one gives TLS its transport, the
            # other resumes reading. The inner `call_soon` then schedules `_feed_tls` after both of them, but
            # before any later bytes are read.
            self._loop.call_soon(self._loop.call_soon, _feed_tls, transport, first)

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

    async def _handshake(self, transport: asyncio.Transport) -> None:
        try:
            encrypted = await self._loop.start_tls(
                transport,
                self,
                self._factory.context,
                server_side=True,
                ssl_handshake_timeout=self._connections.settings().handshake_timeout,
                ssl_shutdown_timeout=_SHUTDOWN_TIMEOUT,
            )
        except ssl.SSLError as error:
            reason = (error.reason or "no TLS").replace("_", " ").lower()
            failed = RefusedError(RefusalReason.TLS, f"the TLS handshake failed: {reason}")
            self._connections.refusals.record(failed, self._peer)
            return
        except OSError:  # the peer has closed the connection during the handshake
            return
        finally:
            self._finish()
        if encrypted is None or encrypted.is_closing():  # we closed the connection meanwhile
            return
        protocol = self._connections()
        encrypted.set_protocol(protocol)
        protocol.connection_made(encrypted)
        if self._early_data:
            protocol.data_received(self._early_data)

    def _on_timeout(self) -> None:
        self._connections.metrics.peer_faults.labels("slow-handshake").inc()
        self.reject(RefusedError(RefusalReason.SLOW_HANDSHAKE, "the TLS handshake took too long"))

    def _finish(self) -> None:
        """Clean up: the handshake is done or has failed, or the connection is closed."""
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
        self._transport = self._task = None
        self._connections.untrack(self)


def _feed_tls(transport: asyncio.Transport, data: bytes) -> None:
    """Give asyncio's TLS protocol the bytes that were read before TLS began."""
    protocol = transport.get_protocol()
    if not isinstance(protocol, TlsHandshake) and not transport.is_closing():
        tls = cast("asyncio.BufferedProtocol", protocol)
        while data:
            buffer = memoryview(tls.get_buffer(len(data)))
            taken = min(len(data), len(buffer))
            buffer[:taken] = data[:taken]
            data = data[taken:]
            tls.buffer_updated(taken)
