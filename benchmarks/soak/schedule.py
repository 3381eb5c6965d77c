"""Measures how late frames are behind their stream's schedule, and when this process itself was held up."""

import asyncio
import math
import time
from array import array

from mediaserver.audio.pcm import PTIME

_WINDOW = 50  # frames of a window; after two windows, a schedule that has moved counts as the stream's schedule
_LOOK = 0.05  # seconds between two measurements of this process's event loop
_HELD_UP = 0.1  # seconds of delay from which this process's event loop is to blame for late frames


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


class OwnLag:
    """Watches this process's event loop. While the loop is held up, late frames are no fault of the server."""

    def __init__(self) -> None:
        self.worst = 0.0  # seconds
        self._spans: list[tuple[float, float]] = []

    async def watch(self, over: asyncio.Event) -> None:
        """Measure the delay of the event loop until `over` is set."""
        while not over.is_set():
            due = time.monotonic() + _LOOK
            await asyncio.sleep(_LOOK)
            now = time.monotonic()
            self.worst = max(self.worst, now - due)
            if now - due > _HELD_UP:
                self._spans.append((due - _LOOK, now + _HELD_UP))

    def excuses(self, at: float) -> bool:
        """Whether the event loop was held up at the time `at`. This is known only a moment after `at`."""
        return any(start <= at <= end for start, end in self._spans)


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
