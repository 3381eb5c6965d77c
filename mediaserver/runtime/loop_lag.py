"""Measures the lag of the event loop: how late the loop runs a timer. Such a delay would delay all streams."""

import asyncio
from collections.abc import Callable

_INTERVAL = 1.0  # seconds between two measurements of the event loop's lag


class LoopLagMonitor:
    """Sets a timer again and again until `stop`, and calls `observe` with the seconds by which each was late."""

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._loop, self._observe = asyncio.get_running_loop(), observe
        self._schedule()

    def stop(self) -> None:
        """Stop measuring the event loop's lag."""
        self._timer.cancel()

    def _schedule(self) -> None:
        self._due = self._loop.time() + _INTERVAL
        self._timer = self._loop.call_at(self._due, self._on_timer)

    def _on_timer(self) -> None:
        self._observe(max(0.0, self._loop.time() - self._due))
        self._schedule()
