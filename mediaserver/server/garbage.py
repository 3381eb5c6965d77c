"""Garbage collection that nobody hears.

A full collection looks at each object that there is, and every call waits for it: 27 ms where 1500 streams play.
So what is there at the start is left out for good, and there is none while many streams play. That costs no
memory: our own streams leave no reference cycles behind, and are freed when they end. What cycles other people's
handlers leave is collected while few streams play, or at last after an hour.
"""

import asyncio
import gc
from collections.abc import Callable

_FEW = 100  # streams, some 60 objects each: looked through in two milliseconds
_EVERY = 60.0  # seconds
_LATEST = 60  # of these
_THRESHOLDS = gc.get_threshold()
_NEVER = 1_000_000_000  # collections of the generation before


class Garbage:
    """Collects the garbage of this process from `start` to `stop`; `playing` tells how many streams there are."""

    def __init__(self, playing: Callable[[], int]) -> None:
        self._loop, self._playing = asyncio.get_running_loop(), playing
        self._timer: asyncio.TimerHandle | None = None
        self._put_off = 0

    def start(self) -> None:
        """All is loaded, and stays."""
        gc.collect()
        gc.freeze()
        gc.set_threshold(*gc.get_threshold()[:2], _NEVER)
        self._set()

    def stop(self) -> None:
        """As it was."""
        if self._timer is not None:
            self._timer.cancel()
            gc.set_threshold(*_THRESHOLDS)
            gc.unfreeze()

    def _set(self) -> None:
        self._timer = self._loop.call_later(_EVERY, self._look)

    def _look(self) -> None:
        self._put_off += 1
        if self._playing() <= _FEW or self._put_off >= _LATEST:
            self._put_off = 0
            gc.collect()
        self._set()
