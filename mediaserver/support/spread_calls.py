"""Spreads calls of functions over turns of the event loop, so that many at one moment hold up nothing else."""

import asyncio
from collections import deque
from collections.abc import Callable


class SpreadCalls:
    """Calls functions soon, in their order, and at most `per_turn` of them in each turn of the event loop.

    All calls must be made within one event loop.
    """

    def __init__(self, per_turn: int) -> None:
        self._per_turn = per_turn
        self._waiting: deque[Callable[[], None]] = deque()
        self._scheduled = False  # whether the event loop will run some of the functions in its next turn

    def call_soon(self, callback: Callable[[], None]) -> None:
        """Call a function in the next turn of the event loop, or later if many others wait. It must not raise."""
        self._waiting.append(callback)
        if not self._scheduled:
            self._schedule()

    def _schedule(self) -> None:
        asyncio.get_running_loop().call_soon(self._run_some)
        self._scheduled = True

    def _run_some(self) -> None:
        for _ in range(min(self._per_turn, len(self._waiting))):
            self._waiting.popleft()()
        self._scheduled = False
        if self._waiting:
            self._schedule()
