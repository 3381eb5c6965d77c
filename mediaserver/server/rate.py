"""At most so many a second: of handshakes, of lines in a log."""

import time
from collections.abc import Callable


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
