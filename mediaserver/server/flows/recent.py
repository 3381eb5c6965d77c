"""Remembers the webhooks of the last minutes, so that a repeated webhook is recognized."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

_WINDOW = 600.0  # seconds for which a key is remembered; VoIPBIN repeats a webhook within seconds
_MOST = 100_000  # the most keys that are remembered; with one more, the oldest is forgotten


class RecentKeys:
    """Remembers keys, such as those of webhooks, that were added in the last ten minutes, at most 100,000 keys."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = _MOST) -> None:
        self._clock, self._most = clock, most
        self._came: OrderedDict[Hashable, float] = OrderedDict()  # when each key was added, the oldest key first

    def __contains__(self, key: Hashable) -> bool:
        self._forget_old()
        return key in self._came

    def add(self, key: Hashable) -> bool:
        """Remember a key; returns False if it is remembered already, which does not make it newer."""
        if key in self:
            return False
        self._came[key] = self._clock()
        if len(self._came) > self._most:
            self._came.popitem(last=False)
        return True

    def discard(self, key: Hashable) -> None:
        """Forget a key, so that it may come again."""
        self._came.pop(key, None)

    def _forget_old(self) -> None:
        oldest = self._clock() - _WINDOW
        while self._came and next(iter(self._came.values())) <= oldest:
            self._came.popitem(last=False)
