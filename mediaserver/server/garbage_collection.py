"""Garbage collection at times when no call suffers from it.

A full collection visits every object, and delays every call meanwhile: by 27 ms with 1500 streams. Therefore,
`gc.freeze` excludes the objects that exist at the start, and no full collection runs while many streams play.
Deferring collections costs no memory: our streams leave no reference cycles, so Python frees them when they end.
Cycles that users' handlers leave are collected while few streams play, or none if that takes long, or after an
hour at the latest.
"""

import asyncio
import gc
import time
from collections.abc import Callable

# The most streams with which a full collection may run. With so many, it takes 2 ms: each stream has 60 objects.
_FEW_STREAMS = 100
# Seconds of CPU time of a full collection above which the next one waits until no stream plays. It may be long
# with few streams, too: while 10,000 events of earlier streams are kept, it visits 70,000 objects.
_LONG = 0.005
_INTERVAL = 60.0  # seconds between two decisions whether to run a full collection
_MAX_DEFERRALS = 60  # number of intervals after which a full collection runs, however many streams play
_DEFAULT_THRESHOLDS = gc.get_threshold()
_NEVER = 1_000_000_000  # a threshold that Python never reaches, so that it runs no full collection by itself


class GarbageCollector:
    """From `start` to `stop`, runs the process's full garbage collections while there are few streams.

    `cpu_clock` gives the seconds of CPU time of this thread.
    """

    def __init__(self, stream_count: Callable[[], int], cpu_clock: Callable[[], float] = time.thread_time) -> None:
        self._loop, self._stream_count, self._cpu_clock = asyncio.get_running_loop(), stream_count, cpu_clock
        self._most_streams = _FEW_STREAMS  # the most streams with which the next full collection may run
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
        if self._stream_count() <= self._most_streams or self._deferrals >= _MAX_DEFERRALS:
            self._deferrals = 0
            began = self._cpu_clock()
            gc.collect()
            self._most_streams = 0 if self._cpu_clock() - began > _LONG else _FEW_STREAMS
        self._schedule()
