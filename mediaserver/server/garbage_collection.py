"""Garbage collection at times when no call suffers from it.

A full collection visits every object, and delays every call meanwhile: by 27 ms with 1500 streams. Therefore,
`gc.freeze` excludes the objects that exist at the start, and no full collection runs while many streams play.
Deferring collections costs no memory: our streams leave no reference cycles, so Python frees them when they end.
Cycles that users' handlers leave are collected while few streams play, or after an hour at the latest.
"""

import asyncio
import gc
from collections.abc import Callable

# The most streams with which a full collection may run. With so many, it takes 2 ms: each stream has 60 objects.
_FEW_STREAMS = 100
_INTERVAL = 60.0  # seconds between two decisions whether to run a full collection
_MAX_DEFERRALS = 60  # number of intervals after which a full collection runs, however many streams play
_DEFAULT_THRESHOLDS = gc.get_threshold()
_NEVER = 1_000_000_000  # a threshold that Python never reaches, so that it runs no full collection by itself


class GarbageCollector:
    """From `start` to `stop`, runs the process's full garbage collections while there are few streams."""

    def __init__(self, stream_count: Callable[[], int]) -> None:
        self._loop, self._stream_count = asyncio.get_running_loop(), stream_count
        self._timer: asyncio.TimerHandle | None = None
        self._deferrals = 0
        self._keeps_frozen = False  # whether the process had frozen objects before the start, which stay frozen

    def start(self) -> None:
        """Exclude all existing objects from collections, and keep Python from running full ones by itself."""
        self._keeps_frozen = gc.get_freeze_count() > 0
        gc.collect()
        gc.freeze()
        gc.set_threshold(*gc.get_threshold()[:2], _NEVER)
        self._schedule()

    def stop(self) -> None:
        """Schedule no more full collections, and let Python run them by itself again."""
        if self._timer is not None:
            self._timer.cancel()
            gc.set_threshold(*_DEFAULT_THRESHOLDS)
            if not self._keeps_frozen:
                gc.unfreeze()

    def _schedule(self) -> None:
        self._timer = self._loop.call_later(_INTERVAL, self._collect_or_defer)

    def _collect_or_defer(self) -> None:
        self._deferrals += 1
        if self._stream_count() <= _FEW_STREAMS or self._deferrals >= _MAX_DEFERRALS:
            self._deferrals = 0
            gc.collect()
        self._schedule()
