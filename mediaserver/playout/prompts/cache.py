"""A cache in memory for encoded frames, shared by all streams; the least recently used are evicted first."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """An entry that knows how much memory it takes."""

    @property
    def size(self) -> int:
        """Bytes of memory."""


T = TypeVar("T", bound=Sized)


class LruCache(Generic[T]):
    """Entries by key, which together take at most `limit` bytes; the least recently used are evicted first.

    The newest entry always stays, even where it alone is larger than the limit, because a stream has asked for it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[Hashable, T] = OrderedDict()
        self.bytes = 0
        self.hits = self.misses = self.evictions = 0

    def get(self, key: Hashable) -> T | None:
        """The entry, which becomes the most recently used; None where there is none."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return entry

    def put(self, key: Hashable, entry: T) -> None:
        """Keep an entry, and evict the least recently used ones beyond the limit."""
        self.pop(key)
        self._entries[key] = entry
        self.bytes += entry.size
        while self.bytes > self._limit and len(self._entries) > 1:
            self.pop(next(iter(self._entries)))
            self.evictions += 1

    def pop(self, key: Hashable) -> T | None:
        """Remove an entry and return it; streams that play it keep their reference until they are done."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.size
        return entry
