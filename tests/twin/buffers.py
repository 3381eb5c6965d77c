"""The queue at the far end of a media stream, where what a client sends too early waits for its turn.

Seen: a snooped call (`whisper`) takes a burst of up to 23 frames and plays it late; at 24 it flushes, and 26 were
lost. A conference (`softmix`) loses a burst of 5 frames and more. Guess: which frames exactly are lost; the twin
takes away all that wait.
"""

from tests.twin.schedule import PTIME

LIMITS = {"whisper": 24, "softmix": 5}  # so many frames waiting are too many


class Playout:
    """One frame is played each 20 ms, from the first one that comes; a hole delays all that comes after it."""

    def __init__(self, buffer: str | None) -> None:
        self._limit = LIMITS[buffer] if buffer is not None else None
        self._empty_at = 0.0  # monotonic
        self.most_waiting = 0

    def take(self, at: float) -> int:
        """One more frame came. The result is how many of the latest frames, this one included, are flushed."""
        self._empty_at = max(self._empty_at, at) + PTIME
        waiting = round((self._empty_at - at) / PTIME) - 1  # behind the one that is being played
        self.most_waiting = max(self.most_waiting, waiting)
        if self._limit is None or waiting < self._limit:
            return 0
        self._empty_at = at
        return waiting
