"""Remembers the webhooks of the last minutes, so that a repeated webhook is recognized."""

import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

_WINDOW = 600.0  # seconds for which a webhook's key is remembered; VoIPBIN repeats a webhook within seconds
_MOST = 100_000  # the most webhooks' keys that are remembered; with one more, the oldest is forgotten


class RecentKeys:
    """The keys of the last ten minutes' webhooks, at most `most`. A key: a webhook's type, and its call's id."""

    def __init__(self, clock: Callable[[], float] = time.monotonic, most: int = _MOST) -> None:
        self._clock, self._most = clock, most
        self._came: OrderedDict[Hashable, float] = OrderedDict()  # when each webhook's key was added, oldest first

    def __contains__(self, key: Hashable) -> bool:
        self._forget_old()
        return key in self._came

    def add(self, key: Hashable) -> bool:
        """Remember a webhook's key. If the key is remembered already, return False, and keep its time."""
        if key in self:
            return False
        self._came[key] = self._clock()
        if len(self._came) > self._most:
            self._came.popitem(last=False)
        return True

    def discard(self, key: Hashable) -> None:
        """Forget a webhook's key, so that the same webhook, if repeated, is acted upon."""
        self._came.pop(key, None)

    def _forget_old(self) -> None:
        oldest = self._clock() - _WINDOW
        while self._came and next(iter(self._came.values())) <= oldest:
            self._came.popitem(last=False)
