"""Heartbeat by ping and pong (RFC 6455, section 5.5.2): detects peers that are gone or have stopped reading.

The kernel of a peer that stops reading goes on accepting minutes of audio. A peer whose cable was pulled sends no
FIN. Neither peer answers pings. Other peers never answer pings although they play the sent audio. The heartbeat
keeps their connections as long as their TCP receive window (RFC 9293, section 3.8.6) shows that they read.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Protocol

from mediaserver.support.timers import Timers
from mediaserver.transport.closing import CloseCode, End, EndReason

_WINDOW = struct.Struct("@I")
_WINDOW_AT = 228  # offset of tcpi_snd_wnd in Linux' struct tcp_info, since Linux 5.16
_TCP_INFO_BYTES = _WINDOW_AT + _WINDOW.size
_UNANSWERED = End(EndReason.UNANSWERED, CloseCode.ABNORMAL)


class PingedConnection(Protocol):
    """Pings the peer, and counts what comes from it."""

    pongs: int  # number of pongs received so far

    @property
    def activity(self) -> int:
        """A number that grows with all data from the peer."""

    def ping(self) -> None:
        """Send a ping."""


class Heartbeat:
    """Pings a peer every `interval` seconds (0: never); calls `finish` if the peer is gone or does not read."""

    __slots__ = (
        "_connection",
        "_finish",
        "_first_window",
        "_received_at_ping",
        "_timer",
        "_transport",
    )

    def __init__(
        self,
        connection: PingedConnection,
        transport: asyncio.Transport,
        interval: float,
        finish: Callable[[End], None],
        timers: Timers,
    ) -> None:
        self._connection, self._transport, self._finish = connection, transport, finish
        self._first_window = _receive_window(transport)
        self._received_at_ping = -1  # number of bytes that had come from the peer by the last ping
        self._timer = timers.call_every(interval, self._ping) if interval else None

    def stop(self) -> None:
        """Stop sending pings."""
        if self._timer is not None:
            self._timer.cancel()

    def _ping(self) -> None:
        if self._transport.is_closing():
            self.stop()
            return
        received = self._connection.activity
        if received == self._received_at_ping and (self._connection.pongs or not self._peer_reads()):
            self.stop()
            self._finish(_UNANSWERED)
            return
        self._received_at_ping = received
        self._connection.ping()

    def _peer_reads(self) -> bool:
        """Whether the peer reads what its kernel receives; True if its receive window is unknown.

        If the peer does not read, its window shrinks. Below half of the window's first size, the peer counts as
        not reading.
        """
        now = _receive_window(self._transport)
        return now is None or self._first_window is None or 2 * now >= self._first_window


def _receive_window(transport: asyncio.Transport) -> int | None:
    """The peer's TCP receive window: the bytes that it would accept now; None if the local kernel cannot tell."""
    connection = transport.get_extra_info("socket")
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except (AttributeError, OSError, ValueError):  # the system is not Linux, or the connection is gone
        return None
    return _WINDOW.unpack_from(info, _WINDOW_AT)[0] if len(info) == _TCP_INFO_BYTES else None
