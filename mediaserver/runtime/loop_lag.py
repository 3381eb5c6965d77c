"""Measures the lag of the event loop: how late the loop runs a timer. Such a delay delays all streams."""

import asyncio
from collections.abc import Callable

import structlog

_INTERVAL = 1.0  # seconds between two measurements of the event loop's lag
_TOLD = 1.0  # the seconds of lag from which on the log tells of it
_QUIET = 60.0  # seconds in which the log tells of it once
_HINT = "no call had a frame meanwhile: does a handler of yours block, or is the machine too busy?"

log = structlog.get_logger()


class LoopLagMonitor:
    """Sets a timer again and again until `stop`, and calls `observe` with the seconds by which each was late.

    A lag that every caller hears is logged, at most once a minute.
    """

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._loop, self._observe = asyncio.get_running_loop(), observe
        self._quiet_until = 0.0
        self._schedule()

    def stop(self) -> None:
        """Stop measuring the event loop's lag."""
        self._timer.cancel()

    def _schedule(self) -> None:
        self._due = self._loop.time() + _INTERVAL
        self._timer = self._loop.call_at(self._due, self._on_timer)

    def _on_timer(self) -> None:
        now = self._loop.time()
        lag = max(0.0, now - self._due)
        self._observe(lag)
        if lag >= _TOLD and now >= self._quiet_until:
            self._quiet_until = now + _QUIET
            log.warning("event loop held up", seconds=round(lag, 1), hint=_HINT)
        self._schedule()
