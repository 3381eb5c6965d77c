"""How late the event loop is for what is due: what every stream waits for when something holds it up."""

import asyncio
from collections.abc import Callable

_EVERY = 1.0  # seconds between looks


class LoopLag:
    """Sets itself a timer again and again, and tells how much too late it went off, in seconds."""

    def __init__(self, observe: Callable[[float], None]) -> None:
        self._loop, self._observe = asyncio.get_running_loop(), observe
        self._set()

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _set(self) -> None:
        self._due = self._loop.time() + _EVERY
        self._timer = self._loop.call_at(self._due, self._fired)

    def _fired(self) -> None:
        self._observe(max(0.0, self._loop.time() - self._due))
        self._set()
