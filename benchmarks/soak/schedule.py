"""Measures how late frames are behind their stream's schedule, and how late this machine itself was."""

import asyncio
import math
import time
from array import array
from bisect import bisect

from benchmarks.machine import core_wait
from mediaserver.audio.pcm import PTIME

from .tally import OUTLIER

_WINDOW = 50  # frames of a window; after two windows, a schedule that has moved counts as the stream's schedule
_LOOK = 0.05  # seconds between two measurements of this process's event loop
_HELD_UP = 0.1  # seconds of delay from which this process's event loop is to blame for late frames
_SPAN = 2 * _WINDOW * PTIME  # seconds of a stream's past that its schedule knows at most


class Schedule:
    """One stream's schedule: a frame every 20 ms, set by the earliest frames of the last one to two seconds."""

    def __init__(self) -> None:
        self._count = 0
        self._before = self._least = math.inf

    def late(self, at: float) -> float:
        """The lateness, in seconds, of the next frame, which has arrived at the time `at`."""
        offset = at - self._count * PTIME
        if self._count % _WINDOW == 0:
            self._before, self._least = self._least, offset
        self._count += 1
        self._least = min(self._least, offset)
        return offset - min(self._before, self._least)


class MachineLag:
    """Watches this process's event loop, and for how long the server waits for a core.

    While the loop is held up, or other processes have the cores, late frames are no fault of the server.
    """

    def __init__(self) -> None:
        self.worst = 0.0  # the longest delay of the event loop, in seconds
        self._spans: list[tuple[float, float]] = []
        self._looks, self._waited = array("d"), array("d")  # times, and the server's seconds of waiting by then

    async def watch(self, server: int) -> None:
        """Measure this process, and the process `server`, until this task is cancelled."""
        while True:
            due = time.monotonic() + _LOOK
            await asyncio.sleep(_LOOK)
            self.add(due, time.monotonic(), core_wait(server))

    def add(self, due: float, now: float, waited: float) -> None:
        """Add a measurement, which was `due` earlier than it was made, and for how long the server had waited."""
        self.worst = max(self.worst, now - due)
        if now - due > _HELD_UP:
            self._spans.append((due - _LOOK, now + _HELD_UP))
        self._looks.append(now)
        self._waited.append(waited)

    def excuses(self, at: float, late: float) -> bool:
        """Whether the machine made a frame at the time `at` an outlier. This is known only a moment after `at`."""
        if any(start <= at <= end for start, end in self._spans):
            return True
        if not self._looks:
            return False
        first = max(0, bisect(self._looks, at - _SPAN) - 1)
        last = min(len(self._looks) - 1, bisect(self._looks, at))
        return late - (self._waited[last] - self._waited[first]) <= OUTLIER


class Recent:
    """The lateness of all calls' frames since the last `take`."""

    def __init__(self) -> None:
        self.values = array("f")

    def take(self) -> tuple[float, float]:
        """Remove the values; return their 99th percentile and maximum in milliseconds."""
        values = sorted(self.values)
        del self.values[:]  # cleared in place, because calls in progress add to this array
        if not values:
            return 0.0, 0.0
        return values[len(values) * 99 // 100] * 1000, values[-1] * 1000
