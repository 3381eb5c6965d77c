"""One connection of an AudioSocket port: its UUID, the messages of its stream, and a clean end.

What a peer sends is bounded here in bytes and in time, and it is always read: a peer whose writes are not read
locks up. Little is kept: there are thousands.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Protocol, cast
from uuid import UUID

from mediaserver.call import CloseCode, End, EndReason, Session
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.server.audiosocket.allowance import Allowance
from mediaserver.server.audiosocket.keepalive import is_unanswered, keep_alive
from mediaserver.server.http.connections import Connections
from mediaserver.server.http.peers import Peer, peer_of
from mediaserver.server.http.replaceable import NO_ROOM
from mediaserver.transport.connection import CLOSE_TIMEOUT, abort, bound_send_buffer
from mediaserver.wire import audiosocket

_UUID_BYTES = 16
_UUID_HEADER = audiosocket.header(audiosocket.Kind.UUID, _UUID_BYTES)
_UUID_MESSAGE = len(_UUID_HEADER) + _UUID_BYTES
_SLICE = 4096  # bytes taken apart at a time: a dozen frames
_TURN = 32  # messages taken in before other streams have their turns: a slice may hold a thousand tiny ones
_MOST_WAITING = 128 * 1024  # bytes read from the kernel and not yet taken in, above which it keeps the rest
_MOST_BEHIND = 2.0  # seconds for which a peer may send faster than it can be taken in
_MOST_DISCARDED = 2_000_000  # bytes read after the end: five seconds of sound at 192 kHz
_MOST_OF_A_FLOOD = 128 * 1024  # and of a peer that has sent too much already


class Reception(Protocol):
    """What decides on connections."""

    connections: Connections

    def arrived(self, connection: "AudioSocketConnection") -> None:
        """A connection is there, and has said nothing yet."""

    def identified(self, connection: "AudioSocketConnection", uuid: UUID) -> None:
        """It has sent its UUID: a stream begins (`begin`), or is refused (`refuse`)."""


def _ignore(message: bytes) -> None:
    """Takes the messages where there is no stream."""


class AudioSocketConnection(asyncio.Protocol):
    """A connection, from its first byte to its last. `number` is its port's, as configured."""

    __slots__ = (
        "_allowance",
        "_behind_since",
        "_deadline",
        "_discardable",
        "_ending",
        "_eof",
        "_error",
        "_ignoring",
        "_loop",
        "_max_message_bytes",
        "_messages",
        "_over",
        "_parser",
        "_paused",
        "_receive",
        "_reception",
        "_rest",
        "_said",
        "_session",
        "number",
        "peer",
        "transport",
    )

    def __init__(self, number: int, reception: Reception) -> None:
        self._loop, self._reception = asyncio.get_running_loop(), reception
        self.number = number
        self.transport: asyncio.Transport | None = None
        self.peer = Peer("?", "?", True, "?")
        limits = reception.connections.settings()
        self._allowance = Allowance(limits.max_message_rate, self._loop.time)
        self._max_message_bytes = limits.max_message_bytes
        self._said = b""  # of the UUID's message, as far as it has come
        self._deadline: asyncio.TimerHandle | None = None  # for the UUID, and at last for the peer's close
        self._session: Session | None = None
        self._receive: Callable[[bytes], None] = _ignore
        self._parser = audiosocket.StreamParser()
        self._messages: Iterator[bytes] | None = None  # those of a slice that are still to be taken in
        self._rest = bytearray()  # not taken in yet
        self._behind_since = 0.0  # when there began to be a rest
        self._paused = False  # the kernel keeps what comes
        self._eof = False  # the peer has closed its half
        self._error: BaseException | None = None  # what the connection was lost by
        self._ignoring = False  # nothing that comes is taken in any more
        self._discardable = _MOST_DISCARDED  # bytes that may come from then on
        self._ending = False  # we have said that it is over, or need not say it any more
        self._over: asyncio.Future[None] = self._loop.create_future()  # done when the connection is gone

    # -- its beginning -------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there, and has to send its UUID soon."""
        self.transport = cast("asyncio.Transport", transport)
        self.peer = peer_of(transport.get_extra_info("peername"), (), ())
        bound_send_buffer(transport)
        connections = self._reception.connections
        if not connections.joined(self):
            self.refuse(NO_ROOM)
            return
        limits = connections.settings()
        keep_alive(transport, limits.heartbeat)
        connections.pending[self] = None
        self._deadline = self._loop.call_later(limits.handshake_timeout, self._too_late)
        self._reception.arrived(self)

    def _greet(self, data: bytes) -> bytes:
        """Take in the UUID; what came behind it."""
        said = self._said + data
        if not _UUID_HEADER.startswith(said[: len(_UUID_HEADER)]):
            self._reception.connections.metrics.peer_faults.labels("malformed-request").inc()
            http = ": HTTP is for server.port" if said.startswith(b"GET ") else ""
            self.refuse(RefusedError(RefusalReason.MALFORMED, f"the first message is not the stream's UUID{http}"))
            return b""
        if len(said) < _UUID_MESSAGE:
            self._said = said
            return b""
        self._said = b""
        self._greeted()
        self._reception.identified(self, UUID(bytes=bytes(said[len(_UUID_HEADER) : _UUID_MESSAGE])))
        return said[_UUID_MESSAGE:]

    def _greeted(self) -> None:
        """Its UUID is there, or is not waited for any more."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        self._reception.connections.pending.pop(self, None)

    def _too_late(self) -> None:
        self._reception.connections.metrics.peer_faults.labels("slow-handshake").inc()
        self.refuse(RefusedError(RefusalReason.SLOW_HANDSHAKE, "the UUID took too long"))

    def begin(self, session: Session) -> None:
        """Give its messages to a stream from now on, and end that when the peer does."""
        self._session, self._receive = session, session.receive

    def refuse(self, error: RefusedError, path: str | None = None) -> None:
        """Let there be no stream, so that Asterisk's dialplan goes on. It may have to make room for others."""
        connections = self._reception.connections
        connections.refusals.count(error, self.peer.name, path)
        self.hang_up()
        if self.transport is not None:
            connections.leaving[self] = None

    def turn_away(self, error: RefusedError) -> None:
        """Make room at once: it has not sent its UUID, or is refused and does not go."""
        if not self._ending:
            self._reception.connections.refusals.count(error, self.peer.name)
            self.hang_up()
        if self.transport is not None:
            self.transport.close()

    # -- bytes in ------------------------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        """Bytes from the peer. Much at once is taken in slices: other streams have their turns between."""
        if self._session is None and not self._ignoring:
            data = self._greet(data)
        if self._ignoring:
            self._discard(len(data))
        elif self._is_behind:
            self._rest += data
            if len(self._rest) > _MOST_WAITING and not self._paused and self.transport is not None:
                self._paused = True
                self.transport.pause_reading()
        elif data:
            if len(data) > _SLICE:
                self._rest += data
            else:  # nearly all
                self._messages = self._parser.feed(data)
            self._behind_since = self._loop.time()
            self._take_turn()

    @property
    def _is_behind(self) -> bool:
        """Whether more has come than is taken in."""
        return self._messages is not None or bool(self._rest)

    def _take_turn(self) -> None:
        """Take in some messages, and the rest at the next turns."""
        if self._messages is None:
            part = bytes(self._rest[:_SLICE])
            del self._rest[:_SLICE]
            self._messages = self._parser.feed(part)
        self._take(self._messages)
        if self._is_behind and self._loop.time() - self._behind_since > _MOST_BEHIND:
            self._too_much(End(EndReason.FLOOD, CloseCode.ABNORMAL))
        if len(self._rest) < _MOST_WAITING / 2:  # there is more in time, or there is no more
            self._go_on_reading()
        if self._is_behind:
            self._loop.call_soon(self._take_turn)
            return
        if self.transport is None:
            self._lost()
        elif self._eof:
            self._closed()

    def _take(self, messages: Iterator[bytes]) -> None:
        """Take in as many messages as are one turn's."""
        for count, message in enumerate(messages, 1):
            if not self._allowance.take(message[0], len(message)):
                self._too_much(End(EndReason.FLOOD, CloseCode.ABNORMAL))
                return
            if len(message) > self._max_message_bytes:
                self._too_much(End(EndReason.OVERSIZE, CloseCode.TOO_BIG))
                return
            self._receive(message)
            if count == _TURN:
                return
        self._messages = None
        if self._parser.pending > self._max_message_bytes:
            self._too_much(End(EndReason.OVERSIZE, CloseCode.TOO_BIG))

    def _too_much(self, end: End) -> None:
        """The stream is to end by what the peer sends; it still has to be said so."""
        self._discardable = _MOST_OF_A_FLOOD - len(self._rest)
        self._ignore_the_rest()
        if self._session is not None:
            self._session.finish(end)

    def _ignore_the_rest(self) -> None:
        self._ignoring = True
        self._rest.clear()
        self._messages = None
        self._go_on_reading()

    def _discard(self, size: int) -> None:
        """What comes too late is read, or our close would be a reset; but there is a limit to that."""
        self._discardable -= size
        if self._discardable < 0:
            self.abort()

    def _go_on_reading(self) -> None:
        if self._paused and self.transport is not None and not self.transport.is_closing():
            self._paused = False
            self.transport.resume_reading()

    # -- its end -------------------------------------------------------------------------------------------------

    def eof_received(self) -> bool:
        """The peer has closed its half: an orderly end, as Asterisk's at a hang-up. Our half is still open."""
        self._eof = True
        if not self._is_behind:
            self._closed()
        return True

    def _closed(self) -> None:
        if self._session is not None and not self._ending:
            self._session.disconnect()
            self._session.finish(End(EndReason.PEER_CLOSED, CloseCode.NO_STATUS))
        elif self.transport is not None:  # nothing was asked for, or all is said
            self._ending = True
            self.transport.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        """It is gone; what the peer said before is still to be taken in."""
        self.transport, self._error = None, exc
        if not self._is_behind:
            self._lost()

    def _lost(self) -> None:
        self._greeted()
        if self._session is not None:
            reason = EndReason.UNANSWERED if is_unanswered(self._error) else EndReason.PEER_VANISHED
            self._session.disconnect()
            self._session.finish(End(reason, CloseCode.ABNORMAL))
        self._error = None  # it would refer to itself by way of its traceback
        self._reception.connections.left(self)
        if not self._over.done():
            self._over.set_result(None)

    def hang_up(self) -> None:
        """Say that it is over, behind all that was sent, and read on until the peer has closed, for a while.

        Nothing may be sent after it.
        """
        if self._ending:
            return
        self._greeted()
        self._ending = True
        self._ignore_the_rest()
        if (transport := self.transport) is None or transport.is_closing():
            return
        transport.write(audiosocket.HANGUP)
        if self._eof:
            transport.close()
        else:
            transport.write_eof()
        self._deadline = self._loop.call_later(CLOSE_TIMEOUT, self.abort)

    async def close(self, end: End) -> None:
        """End the stream, and wait until the connection is gone. A peer that takes nothing is left at once."""
        if end.reason is EndReason.STALLED:
            self.abort()
        self.hang_up()
        await self._over

    def abort(self) -> None:
        """Leave at once: a reset."""
        if self.transport is not None:
            abort(self.transport)

    def forget(self) -> None:
        """The stream is over, and does not refer to itself any more."""
        self._session, self._receive = None, _ignore
        self.abort()
