"""Evicts connections that carry no stream when file descriptors run out, the oldest connection first."""

from typing import Protocol

from mediaserver.errors import RefusalReason, RefusedError

NO_ROOM = RefusedError(RefusalReason.DESCRIPTORS, "too many connections: try again later")


class Evictable(Protocol):
    """A connection without a stream, which may be closed to make room for another connection."""

    def reject(self, error: RefusedError) -> None:
        """Count the refusal, tell the peer why if the protocol allows it, and close the connection at once."""


class TrackedConnection(Evictable, Protocol):
    """A connection that does not speak HTTP, but is counted: one of AudioSocket, or one in its TLS handshake."""

    def abort(self) -> None:
        """Reset the TCP connection, whether or not it carries a stream."""


EvictionQueue = dict[Evictable, None]  # connections in one phase, such as the TLS handshake, oldest first


def evict_oldest(*queues: EvictionQueue) -> bool:
    """Close the oldest connection of the longest queue; False if all queues are empty.

    Each queue has the connections in one phase, such as the TLS handshake. A flood of connections in one phase
    thus evicts connections of that phase only.
    """
    longest = max(queues, key=len)
    if not longest:
        return False
    oldest = next(iter(longest))
    del longest[oldest]
    oldest.reject(NO_ROOM)
    return True
