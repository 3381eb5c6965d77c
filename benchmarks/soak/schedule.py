"""How late frames are after their own stream's schedule, and how much of it is our own doing."""

import asyncio
import math
import time
from array import array

from mediaserver.audio.pcm import PTIME

_WINDOW = 50  # frames; a schedule that moved for lost time is taken for the new one after two of them
_LOOK = 0.05  # seconds between looks at our own loop
_HELD_UP = 0.1  # seconds by which our own loop may be late before it is to blame


class Schedule:
    """One stream's: a frame every 20 ms, as the earliest frames of the last one to two seconds set it."""

    def __init__(self) -> None:
        self._count = 0
        self._before = self._least = math.inf

    def late(self, at: float) -> float:
        """How late a frame is that came at `at`, in seconds."""
        offset = at - self._count * PTIME
        if self._count % _WINDOW == 0:
            self._before, self._least = self._least, offset
        self._count += 1
        self._least = min(self._least, offset)
        return offset - min(self._before, self._least)


class OwnLag:
    """Our own loop: while it is held up, what comes is read late, and no server is to blame."""

    def __init__(self) -> None:
        self.worst = 0.0  # seconds
        self._spans: list[tuple[float, float]] = []

    async def watch(self, over: asyncio.Event) -> None:
        """Look at it, until it is over."""
        while not over.is_set():
            due = time.monotonic() + _LOOK
            await asyncio.sleep(_LOOK)
            now = time.monotonic()
            self.worst = max(self.worst, now - due)
            if now - due > _HELD_UP:
                self._spans.append((due - _LOOK, now + _HELD_UP))

    def excuses(self, at: float) -> bool:
        """Whether we were held up at a time; not known before a moment later."""
        return any(start <= at <= end for start, end in self._spans)


class Recent:
    """Lateness of all calls' frames since it was last looked at."""

    def __init__(self) -> None:
        self.values = array("f")

    def take(self) -> tuple[float, float]:
        """99th percentile and maximum, in milliseconds."""
        values = sorted(self.values)
        del self.values[:]  # calls in progress go on adding to it
        if not values:
            return 0.0, 0.0
        return values[len(values) * 99 // 100] * 1000, values[-1] * 1000
