"""At most so many a second: of handshakes, of lines in a log."""

import time
from collections.abc import Callable

_LOGGED = 20  # lines a second: whoever causes a thousand shall not fill a disk


class Rate:
    """At most so many a second: a bucket that holds one second's worth, full at first."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_at = clock()  # when the bucket will be full again

    def take(self, rate: int) -> bool:
        """Take one, where there is one left at `rate` a second."""
        now = self._clock()
        full_at = max(self._full_at, now) + 1 / rate
        if full_at - now > 1:
            return False
        self._full_at = full_at
        return True


class LoggedRarely:
    """Lines of one kind that strangers cause: at most so many a second, each with how many there were not."""

    def __init__(self, rate: int = _LOGGED, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate, self._bucket, self._unlogged = rate, Rate(clock), 0

    def take(self) -> dict[str, int] | None:
        """Facts for a line, `unlogged` where some before were left out; None where this one is left out."""
        if not self._bucket.take(self._rate):
            self._unlogged += 1
            return None
        facts = {"unlogged": self._unlogged} if self._unlogged else {}
        self._unlogged = 0
        return facts
