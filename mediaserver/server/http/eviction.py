"""Eviction of connections that carry no stream, when file descriptors run out: the oldest goes first."""

from typing import Protocol

from mediaserver.errors import RefusalReason, RefusedError

NO_ROOM = RefusedError(RefusalReason.DESCRIPTORS, "too many connections: try again later")


class Evictable(Protocol):
    """A connection without a stream, which may have to make room for another."""

    def reject(self, error: RefusedError) -> None:
        """Count the refusal, tell the peer where it can be told, and close the connection at once."""


class TrackedConnection(Evictable, Protocol):
    """A connection that is counted together with HTTP's: one of AudioSocket, or one in its TLS handshake."""

    def abort(self) -> None:
        """Reset the connection, with a stream or without."""


EvictionQueue = dict[Evictable, None]  # connections in the same phase, oldest first


def evict_oldest(*queues: EvictionQueue) -> bool:
    """Close the oldest connection of the longest queue; False where all queues are empty.

    A flood of connections in one phase thus evicts connections of that phase only.
    """
    longest = max(queues, key=len)
    if not longest:
        return False
    oldest = next(iter(longest))
    del longest[oldest]
    oldest.reject(NO_ROOM)
    return True
