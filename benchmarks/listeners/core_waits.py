"""For how long processes waited for a core that others had: by so much, late frames are no fault of theirs."""

from array import array
from collections.abc import Sequence

import numpy as np

from benchmarks.machine import core_wait

from .arrivals import Floats


class CoreWaits:
    """The time for which some processes wait for a core, looked at every `interval` seconds; 0 never looks."""

    def __init__(self, pids: Sequence[int], interval: float) -> None:
        self._pids, self._interval = pids, interval
        self._next = 0.0 if interval else float("inf")
        self._looks, self._waited = array("d"), array("d")  # times, and the seconds of waiting by then

    def look(self, now: float) -> None:
        """Note the waiting until the time `now`, if that is due."""
        if now >= self._next:
            self.add(now, sum(map(core_wait, self._pids)))
            self._next = now + self._interval

    def add(self, now: float, waited: float) -> None:
        """Note that the processes had waited for so many seconds at the time `now`."""
        self._looks.append(now)
        self._waited.append(waited)

    def between(self, starts: Floats, ends: Floats) -> Floats:
        """The most seconds of waiting in each span of time: those from the look before it to the look after it."""
        if not self._looks:
            return np.zeros(len(starts))
        looks, waited = np.asarray(self._looks), np.asarray(self._waited)
        before = np.maximum(np.searchsorted(looks, starts, "right") - 1, 0)
        after = np.minimum(np.searchsorted(looks, ends), len(looks) - 1)
        waits: Floats = waited[after] - waited[before]
        return waits
