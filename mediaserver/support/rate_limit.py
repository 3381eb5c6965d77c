"""Rate limits for handshakes, and for log lines that strangers can cause."""

import time
from collections.abc import Callable

_LINES_PER_SECOND = 20  # the most log lines of one kind in a second: a scanner must not fill the disk


class RateLimiter:
    """A token bucket. It holds at most as many tokens as are added in one second, and is full at first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at = clock()  # the time, in seconds, at which the bucket will be full again

    def try_acquire(self, rate: int) -> bool:
        """Take a token from the bucket, which is refilled with `rate` tokens a second; False if it is empty."""
        now = self._clock()
        full_at = max(self._full_at, now) + 1 / rate
        if full_at - now > 1:
            return False
        self._full_at = full_at
        return True


class LogLimiter:
    """Limits the log lines of one kind to `rate` a second, and counts the lines that are left out."""

    def __init__(self, rate: int = _LINES_PER_SECOND, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._bucket, self._unlogged = rate, RateLimiter(clock), 0

    def try_acquire(self) -> dict[str, int] | None:
        """Return None if the next log line is to be left out, else facts to log in that line.

        The fact `unlogged` is the number of lines that were left out since the last logged line.
        """
        if not self._bucket.try_acquire(self._rate):
            self._unlogged += 1
            return None
        facts = {"unlogged": self._unlogged} if self._unlogged else {}
        self._unlogged = 0
        return facts
