"""Rate limits: for handshakes, and for lines of the log that strangers cause."""

import time
from collections.abc import Callable

_LINES_PER_SECOND = 20  # few enough that a scanner with a thousand requests a second cannot fill the disk


class RateLimiter:
    """A token bucket that holds one second's worth of tokens, and is full at first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at = clock()  # when the bucket will be full again

    def try_acquire(self, rate: int) -> bool:
        """Take a token of a bucket that is refilled with `rate` tokens a second; False where it is empty."""
        now = self._clock()
        full_at = max(self._full_at, now) + 1 / rate
        if full_at - now > 1:
            return False
        self._full_at = full_at
        return True


class LogLimiter:
    """Limits the lines of one kind in the log, and counts those that are left out."""

    def __init__(self, rate: int = _LINES_PER_SECOND, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._bucket, self._unlogged = rate, RateLimiter(clock), 0

    def try_acquire(self) -> dict[str, int] | None:
        """Facts to log with a line: `unlogged` counts lines left out before it. None: leave this line out."""
        if not self._bucket.try_acquire(self._rate):
            self._unlogged += 1
            return None
        facts = {"unlogged": self._unlogged} if self._unlogged else {}
        self._unlogged = 0
        return facts
