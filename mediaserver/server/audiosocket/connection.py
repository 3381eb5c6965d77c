"""One connection of an AudioSocket port: its handshake by a UUID, its session, and its orderly end."""

import asyncio
from typing import Protocol, cast
from uuid import UUID

from mediaserver.call import CloseCode, End, EndReason, Session
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.server.audiosocket.keepalive import enable_keepalive, is_keepalive_timeout
from mediaserver.server.audiosocket.message_receiver import MessageReceiver, ignore_message
from mediaserver.server.http.connections import Connections
from mediaserver.server.http.eviction import NO_ROOM
from mediaserver.server.http.peers import Peer, resolve_peer
from mediaserver.transport.connection import CLOSE_TIMEOUT, abort, bound_send_buffer
from mediaserver.transport.unread import read_unread
from mediaserver.wire import audiosocket

_UUID_BYTES = 16
_UUID_HEADER = audiosocket.header(audiosocket.Kind.UUID, _UUID_BYTES)
_UUID_MESSAGE = len(_UUID_HEADER) + _UUID_BYTES


class Acceptor(Protocol):
    """Decides which AudioSocket connections become streams."""

    connections: Connections

    def on_connected(self, connection: "AudioSocketConnection") -> None:
        """Called when a connection is accepted, before its peer has sent anything."""

    def on_uuid(self, connection: "AudioSocketConnection", uuid: UUID) -> None:
        """Called when a connection's UUID has come: begin its stream by `begin`, or refuse it by `refuse`."""


class AudioSocketConnection(MessageReceiver):
    """One AudioSocket connection from its beginning to its end. `number` is the listening port as configured."""

    __slots__ = ("_acceptor", "_closed", "_ending", "_error", "_handshake", "_timeout", "number", "peer")

    def __init__(self, number: int, acceptor: Acceptor) -> None:
        super().__init__(acceptor.connections.settings())
        self._acceptor = acceptor
        self.number = number
        self.peer = Peer("?", "?", True, "?")
        self._handshake = b""  # bytes of the UUID's message that have come so far
        # The running timer: it limits the time until the UUID comes, or, after our hang-up, until the peer closes.
        self._timeout: asyncio.TimerHandle | None = None
        self._error: BaseException | None = None  # the error with which the connection was lost, if any
        self._ending = False  # whether our hang-up was sent, or the peer closed a connection without a stream
        self._closed: asyncio.Future[None] = self._loop.create_future()  # completed when the connection is closed

    # -- the handshake -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit the connection if there is room. Its UUID must come within `server.handshake_timeout` seconds."""
        self.transport = cast("asyncio.Transport", transport)
        self.peer = resolve_peer(transport.get_extra_info("peername"), (), ())
        bound_send_buffer(transport)
        connections = self._acceptor.connections
        if not connections.track(self):
            self.refuse(NO_ROOM)
            return
        limits = connections.settings()
        enable_keepalive(transport, limits.heartbeat)
        connections.handshaking[self] = None
        self._timeout = self._loop.call_later(limits.handshake_timeout, self._on_timeout)
        self._acceptor.on_connected(self)

    def _read_handshake(self, data: bytes) -> bytes:
        """Read the message with the UUID. Returns the bytes that follow the message."""
        handshake = self._handshake + data
        if not _UUID_HEADER.startswith(handshake[: len(_UUID_HEADER)]):
            self._acceptor.connections.metrics.peer_faults.labels("malformed-request").inc()
            http = ": HTTP is for server.port" if handshake.startswith(b"GET ") else ""
            self.refuse(RefusedError(RefusalReason.MALFORMED, f"the first message is not the stream's UUID{http}"))
            return b""
        if len(handshake) < _UUID_MESSAGE:
            self._handshake = handshake
            return b""
        self._handshake = b""
        self._on_handshake_done()
        self._acceptor.on_uuid(self, UUID(bytes=bytes(handshake[len(_UUID_HEADER) : _UUID_MESSAGE])))
        return handshake[_UUID_MESSAGE:]

    def _on_handshake_done(self) -> None:
        """Stop the time limit of the handshake: the UUID has come, or is no longer waited for."""
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None
        self._acceptor.connections.handshaking.pop(self, None)

    def _on_timeout(self) -> None:
        self._acceptor.connections.metrics.peer_faults.labels("slow-handshake").inc()
        self.refuse(RefusedError(RefusalReason.SLOW_HANDSHAKE, "the UUID took too long"))

    def begin(self, session: Session) -> None:
        """From now on, give all messages to `session`, and finish it when the peer closes or is disconnected."""
        self._session, self._on_message = session, session.receive_binary

    def refuse(self, error: RefusedError, path: str | None = None) -> None:
        """Refuse the connection by an orderly hang-up, so that Asterisk's dialplan goes on.

        The refused connection may be evicted before its peer closes.
        """
        connections = self._acceptor.connections
        connections.refusals.record(error, self.peer.name, path)
        self.hang_up()
        if self.transport is not None:
            connections.refused[self] = None

    def reject(self, error: RefusedError) -> None:
        """Close the connection at once: it has no stream, and another connection needs its file descriptor."""
        if not self._ending:
            self._acceptor.connections.refusals.record(error, self.peer.name)
            self.hang_up()
        if self.transport is not None:
            self.transport.close()

    # -- the end of the connection -------------------------------------------------------------------------------

    def _on_eof(self) -> None:
        if self._session is not None and not self._ending:
            self._session.disconnect()
            self._session.finish(End(EndReason.PEER_CLOSED, CloseCode.NO_STATUS))
        elif self.transport is not None:  # there is no stream, or our hang-up is sent
            self._ending = True
            self.transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """Note that the connection is lost. The session still gets all messages that the peer sent before."""
        if self.transport is not None and (unread := read_unread(self.transport, exc)):
            self.data_received(unread)
        self.transport, self._error = None, exc
        if not self._has_backlog:
            self._on_lost()

    def _on_lost(self) -> None:
        self._on_handshake_done()
        if self._session is not None:
            reason = EndReason.UNANSWERED if is_keepalive_timeout(self._error) else EndReason.PEER_VANISHED
            self._session.disconnect()
            self._session.finish(End(reason, CloseCode.ABNORMAL))
        self._error = None  # breaks a reference cycle: the error's traceback leads back to the error
        self._acceptor.connections.untrack(self)
        if not self._closed.done():
            self._closed.set_result(None)

    def hang_up(self) -> None:
        """Send the hang-up behind all earlier data, close our half, and read until the peer has closed its half.

        A connection whose peer has not closed after `CLOSE_TIMEOUT` seconds is reset. Nothing may be sent after
        the hang-up.
        """
        if self._ending:
            return
        self._on_handshake_done()
        self._ending = True
        self._start_discarding()
        if (transport := self.transport) is None or transport.is_closing():
            return
        transport.write(audiosocket.HANGUP)
        if self._eof:
            transport.close()
        else:
            transport.write_eof()
        self._timeout = self._loop.call_later(CLOSE_TIMEOUT, self.abort)

    async def close(self, end: End) -> None:
        """Hang up, and wait until the connection is gone. A peer that has stopped reading is reset at once."""
        if end.reason is EndReason.STALLED:
            self.abort()
        self.hang_up()
        await self._closed

    def abort(self) -> None:
        """Reset the connection."""
        if self.transport is not None:
            abort(self.transport)

    def release(self) -> None:
        """Drop the session of a stream that is over, which breaks a reference cycle, and reset the connection."""
        self._session, self._on_message = None, ignore_message
        self.abort()
