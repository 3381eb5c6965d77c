"""A cache in memory, such as for prompts' encoded frames; the least recently used entries are evicted first."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """An entry of a cache, which tells how much memory it takes."""

    @property
    def size(self) -> int:
        """Bytes of memory that the entry takes."""


T = TypeVar("T", bound=Sized)


class LruCache(Generic[T]):
    """A cache of entries by key, in at most `limit` bytes; the least recently used entries are evicted first.

    The newest entry always stays, even if it alone is larger than the limit, because a stream has asked for it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[Hashable, T] = OrderedDict()
        self.bytes = 0
        self.hits = self.misses = self.evictions = 0

    def get(self, key: Hashable) -> T | None:
        """The entry with this key, which becomes the most recently used entry; None if there is no such entry."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return entry

    def put(self, key: Hashable, entry: T) -> None:
        """Keep an entry, and evict the least recently used entries while the cache exceeds its limit."""
        self.pop(key)
        self._entries[key] = entry
        self.bytes += entry.size
        while self.bytes > self._limit and len(self._entries) > 1:
            self.pop(next(iter(self._entries)))
            self.evictions += 1

    def pop(self, key: Hashable) -> T | None:
        """Remove an entry and return it; None if there is none. Streams that play the entry still hold it."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.size
        return entry
