"""The clock of every twin, and how far a client runs ahead of it."""

import asyncio
import time

PTIME = 0.020
_TIMER = 0.1  # of a frame: a timer that fires so much early does not make its client one that runs ahead


class Schedule:
    """Frame n is due at `started_at + n * ptime`, whatever became of the frames before it."""

    def __init__(self, ptime: float = PTIME) -> None:
        self._ptime = ptime
        self.started_at = time.monotonic()

    async def frame(self, n: int) -> None:
        """Wait until frame n is due."""
        await asyncio.sleep(max(0.0, self.started_at + n * self._ptime - time.monotonic()))


class Lead:
    """By how many frames a client is ahead of real time: those that came, less those that were due by then."""

    def __init__(self, ptime: float = PTIME) -> None:
        self._ptime = ptime
        self._count = 0
        self.most = 0

    def frame(self, elapsed: float) -> None:
        """One more frame came, so many seconds after the media began."""
        self._count += 1
        due = int(elapsed / self._ptime + _TIMER) + 1
        self.most = max(self.most, self._count - due)
