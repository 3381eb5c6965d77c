"""Rate limits: of handshakes, and of the lines of the log that peers cause."""

import time
from collections.abc import Callable

_LOGGED_LINES = 20  # a second: a scanner cannot fill the disk


class TokenBucket:
    """A token bucket that holds the tokens of one second, and is full at first. `clock`: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at = clock()  # when the bucket will be full again

    def try_acquire(self, rate: int) -> bool:
        """Take a token of a bucket that gets `rate` of them a second; False where none is left."""
        now = self._clock()
        full_at = max(self._full_at, now) + 1 / rate
        if full_at - now > 1:
            return False
        self._full_at = full_at
        return True


class LogThrottle:
    """Limits log lines of one kind, which peers can cause, to `rate` a second, and counts the others."""

    def __init__(self, rate: int = _LOGGED_LINES, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._bucket, self._unlogged = rate, TokenBucket(clock), 0

    def next_line(self) -> dict[str, int] | None:
        """Fields for the next line: with `unlogged`, where lines before it were left out. None to leave it out."""
        if not self._bucket.try_acquire(self._rate):
            self._unlogged += 1
            return None
        facts = {"unlogged": self._unlogged} if self._unlogged else {}
        self._unlogged = 0
        return facts
