"""Ping and pong (RFC 6455, section 5.5.2): whether somebody is still there, and listens.

A peer that stops reading hides behind its own kernel, which takes minutes of audio for it; one whose cable was
pulled, behind nothing at all. Neither answers. Some peers never answer pings, though they play what they are sent:
they are let be as long as their receive window (RFC 9293, section 3.8.6) shows that they read.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Protocol

from mediaserver.wire.websocket import PING

_WINDOW = struct.Struct("@I")
_WINDOW_AT = 228  # of tcpi_snd_wnd in Linux' struct tcp_info, since 5.16
_TCP_INFO_BYTES = _WINDOW_AT + _WINDOW.size


class Received(Protocol):
    """What came from the far end so far."""

    received: int  # bytes


class Answered(Protocol):
    """And what of it were answers."""

    pongs: int


class Heartbeat:
    """Pings a peer every `interval` seconds, and calls `dead` once when it can be given up."""

    __slots__ = ("_dead", "_heard", "_interval", "_line", "_loop", "_reader", "_timer", "_transport", "_window")

    def __init__(
        self,
        line: Received,
        reader: Answered,
        transport: asyncio.Transport,
        interval: float,
        dead: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._line, self._reader, self._transport = line, reader, transport
        self._interval, self._dead = interval, dead
        self._window = _window(transport)
        self._heard = -1  # bytes from the peer when it was last pinged
        self._timer: asyncio.TimerHandle | None = None
        if interval:
            self._timer = self._loop.call_later(interval, self._beat)

    def stop(self) -> None:
        """Ping no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _beat(self) -> None:
        if self._transport.is_closing():
            return
        heard = self._line.received
        if heard == self._heard and (self._reader.pongs or not self._reads()):
            self._dead()
            return
        self._heard = heard
        self._transport.write(PING)
        self._timer = self._loop.call_later(self._interval, self._beat)

    def _reads(self) -> bool:
        """Whether the peer takes its data out of its kernel, as far as can be told: else its window closes."""
        now = _window(self._transport)
        return now is None or self._window is None or 2 * now >= self._window


def _window(transport: asyncio.Transport) -> int | None:
    """Bytes that the peer's kernel would take now; None where the system does not tell."""
    connection = transport.get_extra_info("socket")
    try:
        info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except (AttributeError, OSError, ValueError):  # not Linux; or it is gone, and soon that is known
        return None
    return _WINDOW.unpack_from(info, _WINDOW_AT)[0] if len(info) == _TCP_INFO_BYTES else None
