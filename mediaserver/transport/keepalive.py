"""Keepalive by ping and pong of a WebSocket that this server has dialled, whose peer must answer pings.

A server that is dialled answers pings (RFC 6455, section 5.5.3), so that a line which has gone dead is known by
the first ping that is not answered. Peers that dial this server need not answer: see `heartbeat`.
"""

from collections.abc import Callable

from mediaserver.support.timers import Timers
from mediaserver.transport.websocket_connection import WebSocketConnection


def _ignore_timeout() -> None:
    """Do nothing. Stands in for `on_timeout` once the pings have ended."""


class Keepalive:
    """Pings a peer, for the first time after `first_after` seconds.

    Every `interval` seconds, the peer is pinged again if it has answered the ping before. If it has not answered
    for `timeout` seconds, a multiple of `interval`, `on_timeout` is called, and the pings end. With `progress`,
    each ping carries the number that `progress` returns, and only a pong with this number answers the ping.
    Otherwise any pong does.
    """

    __slots__ = (
        "_at_ping",
        "_confirmed",
        "_interval",
        "_on_timeout",
        "_pongs_at_ping",
        "_progress",
        "_timeout",
        "_timer",
        "_unanswered",
        "_websocket",
    )

    def __init__(
        self,
        websocket: WebSocketConnection,
        timers: Timers,
        *,
        first_after: float,
        interval: float,
        timeout: float,
        on_timeout: Callable[[], None],
        progress: Callable[[], int] | None = None,
    ) -> None:
        self._websocket, self._interval, self._timeout = websocket, interval, timeout
        self._on_timeout, self._progress = on_timeout, progress
        self._at_ping = self._confirmed = progress() if progress is not None else 0
        self._pongs_at_ping = -1  # number of pongs that had come at the latest ping; below 0 before the first one
        self._unanswered = 0  # number of intervals since a ping that is not answered
        self._timer = timers.call_every(interval, self._on_timer, first_after=first_after)

    @property
    def confirmed(self) -> int:
        """The number that the latest ping with an answer carried; without an answer so far, that of the start."""
        return self._at_ping if self._is_answered else self._confirmed

    @property
    def _is_answered(self) -> bool:
        return self._websocket.pongs != self._pongs_at_ping

    def stop(self) -> None:
        """Stop sending pings, and drop the callbacks, which may refer to the owner of this object."""
        self._timer.cancel()
        self._on_timeout, self._progress = _ignore_timeout, None

    def _on_timer(self) -> None:
        if self._websocket.transport.is_closing():
            self._timer.cancel()
            return
        if self._is_answered:
            self._ping()
        else:
            # Intervals are counted, and no time is measured: what comes while this process is held up is read
            # before the next interval is over.
            self._unanswered += 1
            if self._unanswered * self._interval >= self._timeout:
                self._timer.cancel()
                self._on_timeout()

    def _ping(self) -> None:
        self._confirmed, self._unanswered, self._pongs_at_ping = self._at_ping, 0, self._websocket.pongs
        payload = b""
        if self._progress is not None:
            self._at_ping = self._progress()
            payload = str(self._at_ping).encode()
        self._websocket.ping(payload)
