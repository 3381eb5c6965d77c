"""The handshake of TLS on an accepted connection, before there is anything else.

asyncio would do it by itself (`create_server(ssl=…)`), but tells nobody of a connection whose handshake fails, and
gives nobody the means to end one. A server that is to count those that are alive has to begin it itself.
"""

import asyncio
import ssl
from collections import deque
from typing import cast

from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.server.http.connections import Connections

_SHUTDOWN = 1.0  # seconds for a peer to say goodbye in TLS as well


class TlsHandshakes:
    """Makes the protocol of each connection that is accepted on a port that speaks TLS.

    One handshake begins in a turn of the event loop: it costs a millisecond, and streams have their turns between.
    """

    def __init__(self, connections: Connections, context: ssl.SSLContext) -> None:
        self.connections, self.context = connections, context
        self._waiting: deque[TlsHandshake] = deque()

    def __call__(self) -> "TlsHandshake":
        return TlsHandshake(self)

    def begin_soon(self, handshake: "TlsHandshake") -> None:
        """Have one begin when those before it have begun."""
        self._waiting.append(handshake)
        if len(self._waiting) == 1:
            asyncio.get_running_loop().call_soon(self._begin_next)

    def _begin_next(self) -> None:
        self._waiting[0].begin()
        self._waiting.popleft()
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._begin_next)


class TlsHandshake(asyncio.Protocol):
    """A connection of the public port until its handshake of TLS is done; then it gets another protocol.

    TLS begins with the peer's first bytes: a connection that goes before, or says nothing, costs no more than one
    without TLS.
    """

    __slots__ = ("_all", "_connections", "_deadline", "_early", "_loop", "_peer", "_task", "_transport")

    def __init__(self, handshakes: TlsHandshakes) -> None:
        self._all, self._connections = handshakes, handshakes.connections
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None  # the TCP connection, as long as it is ours
        self._peer = "?"
        self._task: asyncio.Task[None] | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._early = b""  # what came before there was somebody to take it: at first as it is, then decrypted
        self._connections.expect(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The TCP connection is there. Of that of TLS nobody calls this."""
        self._transport = cast("asyncio.Transport", transport)
        self._peer = str((transport.get_extra_info("peername") or "?")[0])
        self._deadline = self._loop.call_later(self._connections.settings().handshake_timeout, self._too_late)
        self._connections.joined_silent(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is gone. asyncio does not call this of each whose handshake has begun: `_shake_hands` ends there."""
        self._over()

    def data_received(self, data: bytes) -> None:
        """The peer's first bytes; or what came right behind its handshake, decrypted."""
        is_first, self._early = not self._early, self._early + data
        if is_first and self._task is None and self._transport is not None:
            self._transport.pause_reading()
            self._connections.securing(self)
            self._all.begin_soon(self)

    def begin(self) -> None:
        """It is its turn, if it has not been turned away meanwhile."""
        transport, first, self._early = self._transport, self._early, b""
        if transport is not None and not transport.is_closing():
            self._task = self._loop.create_task(self._shake_hands(transport))
            # In the order in which they are called soon, TLS begins, gets its transport, reads on, and gets these
            # bytes; all that comes later is read after that.
            self._loop.call_soon(self._loop.call_soon, _feed, transport, first)

    def turn_away(self, error: RefusedError) -> None:
        """End it at once. There is no way to tell the peer why: it would take what is being agreed upon."""
        self._connections.refusals.count(error, self._peer)
        self.abort()

    def abort(self) -> None:
        """Leave it at once."""
        if self._transport is not None:
            self._transport.abort()

    async def _shake_hands(self, transport: asyncio.Transport) -> None:
        try:
            encrypted = await self._loop.start_tls(
                transport,
                self,
                self._all.context,
                server_side=True,
                ssl_handshake_timeout=self._connections.settings().handshake_timeout,
                ssl_shutdown_timeout=_SHUTDOWN,
            )
        except ssl.SSLError as error:
            reason = (error.reason or "no TLS").replace("_", " ").lower()
            failed = RefusedError(RefusalReason.TLS, f"the TLS handshake failed: {reason}")
            self._connections.refusals.count(failed, self._peer)
            return
        except OSError:  # the peer is gone
            return
        finally:
            self._over()
        if encrypted is None or encrypted.is_closing():  # it was turned away, or too late
            return
        protocol = self._connections()
        encrypted.set_protocol(protocol)
        protocol.connection_made(encrypted)
        if self._early:
            protocol.data_received(self._early)

    def _too_late(self) -> None:
        self._connections.metrics.peer_faults.labels("slow-handshake").inc()
        self.turn_away(RefusedError(RefusalReason.SLOW_HANDSHAKE, "the TLS handshake took too long"))

    def _over(self) -> None:
        """It is a connection of TLS, or none any more."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._transport = self._task = None
        self._connections.left(self)


def _feed(transport: asyncio.Transport, data: bytes) -> None:
    """Give TLS what was read before it began."""
    protocol = transport.get_protocol()
    if not isinstance(protocol, TlsHandshake) and not transport.is_closing():
        tls = cast("asyncio.BufferedProtocol", protocol)
        while data:
            buffer = memoryview(tls.get_buffer(len(data)))
            taken = min(len(data), len(buffer))
            buffer[:taken] = data[:taken]
            data = data[taken:]
            tls.buffer_updated(taken)
