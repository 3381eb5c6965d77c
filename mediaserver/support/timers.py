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
    """Calls a function once, or, with an `interval`, again and again, unless it is cancelled before."""

    __slots__ = ("_arguments", "_callback", "_fired", "_timers", "at", "interval")

    def __init__(
        self,
        timers: "Timers",
        at: float,
        interval: float,
        callback: Callable[..., object],
        arguments: tuple[Any, ...],
    ) -> None:
        self.at = at  # when the timer fires, by the event loop's clock
        self.interval = interval  # seconds from one call to the next; 0 if there is only one
        self._callback: Callable[..., object] | None = callback  # None once the timer is over
        self._timers, self._arguments = timers, arguments
        self._fired = False

    def __lt__(self, other: "Timer") -> bool:
        return self.at < other.at

    @property
    def over(self) -> bool:
        """Whether the function was called for the last time, or the timer is cancelled."""
        return self._callback is None

    def fire(self) -> None:
        """Have the event loop call the function, unless the timer is over."""
        if self._callback is not None:
            self._fired = True
            asyncio.get_running_loop().call_soon(self._call)

    def _call(self) -> None:
        callback, arguments = self._callback, self._arguments
        if callback is None:
            return
        if self.interval:
            self._fired = False
            self._timers.repeat(self)  # before the call, which may cancel the timer
        else:
            self._callback, self._arguments = None, ()
        callback(*arguments)

    def cancel(self) -> None:
        """Call the function no more, even if the timer has fired. To cancel a timer that is over has no effect."""
        if self._callback is not None:
            self._callback, self._arguments = None, ()
            if not self._fired:
                self._timers.on_cancelled()


class Timers:
    """All timers of one kind. They must be used within one event loop.

    With `grid`, each timer fires together with others, at the multiple of `grid` seconds that is nearest to its
    time and yet to come. To wake for each alone would cost the event loop more than what most of them do.

    A timer that repeats keeps its phase. If each call set the next timer, all timers that a hold-up has made late
    would fire at the same moment ever after, and more of them after each hold-up.
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
        return self._begin(seconds, 0.0, callback, arguments)

    def call_every(
        self, interval: float, callback: Callable[..., object], *, first_after: float | None = None
    ) -> Timer:
        """Call a function every `interval` seconds, for the first time in `first_after`, or else `interval`.

        A call that a hold-up has made late by more than half the interval takes the place of the next one as well,
        so that at least half the interval lies between two calls.
        """
        return self._begin(interval if first_after is None else first_after, interval, callback, ())

    def repeat(self, timer: Timer) -> None:
        """Set a timer that has fired to its next time."""
        now = asyncio.get_running_loop().time()
        late = round(max(0.0, now - timer.at) / timer.interval)
        self._push(timer, timer.at + (late + 1) * timer.interval, now)

    def _begin(
        self, seconds: float, interval: float, callback: Callable[..., object], arguments: tuple[Any, ...]
    ) -> Timer:
        now = asyncio.get_running_loop().time()
        timer = Timer(self, now, interval, callback, arguments)
        self._push(timer, now + seconds, now)
        return timer

    def _push(self, timer: Timer, at: float, now: float) -> None:
        if grid := self._grid:
            at = max(round(at / grid), int(now / grid) + 1) * grid
        timer.at = at
        heappush(self._heap, timer)
        if self._heap[0] is timer:
            self._set()

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
