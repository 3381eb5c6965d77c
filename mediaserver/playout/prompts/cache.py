"""What is ready-made for the wire, shared by all streams, under a limit of memory."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Generic, Protocol, TypeVar


class Sized(Protocol):
    """What knows how much memory it takes."""

    @property
    def size(self) -> int:
        """Bytes of it."""


T = TypeVar("T", bound=Sized)


class ItemCache(Generic[T]):
    """Items, or what has some, by key, least recently used first out.

    The newest entry always stays: somebody asked for it.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._entries: OrderedDict[Hashable, T] = OrderedDict()
        self.bytes = 0
        self.hits = self.misses = self.evictions = 0

    def get(self, key: Hashable) -> T | None:
        """The entry, now the most recently used; None where it is not here."""
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        self._entries.move_to_end(key)
        return entry

    def put(self, key: Hashable, entry: T) -> None:
        """Keep an entry, and let go of the least recently used beyond the limit."""
        self.drop(key)
        self._entries[key] = entry
        self.bytes += entry.size
        while self.bytes > self._limit and len(self._entries) > 1:
            self.drop(next(iter(self._entries)))
            self.evictions += 1

    def drop(self, key: Hashable) -> T | None:
        """Forget an entry, and give it back; streams that play it keep it until they are done."""
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.bytes -= entry.size
        return entry
