"""Timers of which there are many at a time, such as one for each stream, and of which few ever fire.

A timer of the event loop takes half a kilobyte of memory. All timers here share one timer of the event loop, and
take a quarter of that.
"""

import asyncio
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any

_RESOLUTION = 0.001  # seconds: timers of uvloop count in whole milliseconds, and may fire a little early


class Timer:
    """Calls a function once, unless it is cancelled before."""

    __slots__ = ("_arguments", "_callback", "_fired", "_timers", "at")

    def __init__(
        self, timers: "Timers", at: float, callback: Callable[..., object], arguments: tuple[Any, ...]
    ) -> None:
        self.at = at  # when the timer fires, by the event loop's clock
        self._callback: Callable[..., object] | None = callback  # None once the timer is over
        self._timers, self._arguments = timers, arguments
        self._fired = False

    def __lt__(self, other: "Timer") -> bool:
        return self.at < other.at

    @property
    def over(self) -> bool:
        """Whether the function is called, or the timer is cancelled."""
        return self._callback is None

    def fire(self) -> None:
        """Have the event loop call the function, unless the timer is over."""
        if self._callback is not None:
            self._fired = True
            asyncio.get_running_loop().call_soon(self._call)

    def _call(self) -> None:
        callback, arguments = self._callback, self._arguments
        self._callback, self._arguments = None, ()
        if callback is not None:
            callback(*arguments)

    def cancel(self) -> None:
        """Never call the function, even if the timer has fired. Cancelling a timer that is over has no effect."""
        if self._callback is not None:
            self._callback, self._arguments = None, ()
            if not self._fired:
                self._timers.on_cancelled()


class Timers:
    """All timers of one kind. They must be used within one event loop.

    With `grid`, each timer fires together with others, at the multiple of `grid` seconds that is nearest to its
    time and yet to come. To wake for each alone would cost the event loop more than what most of them do.
    """

    def __init__(self, grid: float = 0.0) -> None:
        self._grid = grid
        self._heap: list[Timer] = []  # the timer that fires first is the first one
        self._cancelled = 0  # number of timers in the heap that are cancelled
        self._handle: asyncio.TimerHandle | None = None  # the event loop's timer, for the first timer of the heap

    def __len__(self) -> int:
        """How many timers are still to fire."""
        return len(self._heap) - self._cancelled

    def call_later(self, seconds: float, callback: Callable[..., object], *arguments: Any) -> Timer:
        """Call a function in so many seconds."""
        now = asyncio.get_running_loop().time()
        at, grid = now + seconds, self._grid
        if grid:
            at = max(round(at / grid), int(now / grid) + 1) * grid
        timer = Timer(self, at, callback, arguments)
        heappush(self._heap, timer)
        if self._heap[0] is timer:
            self._set()
        return timer

    def on_cancelled(self) -> None:
        """Forget the timers that are cancelled, if they are more than half of all."""
        self._cancelled += 1
        if self._cancelled > len(self._heap) / 2:
            self._heap = [timer for timer in self._heap if not timer.over]
            heapify(self._heap)
            self._cancelled = 0
            self._set()

    def _fire(self) -> None:
        now = asyncio.get_running_loop().time() + _RESOLUTION
        while self._heap and self._heap[0].at <= now:
            timer = heappop(self._heap)
            self._cancelled -= timer.over
            timer.fire()
        self._set()

    def _set(self) -> None:
        """Set the event loop's timer to the time of the first timer."""
        if self._handle is not None:
            self._handle.cancel()
        loop = asyncio.get_running_loop()
        self._handle = loop.call_at(self._heap[0].at, self._fire) if self._heap else None
