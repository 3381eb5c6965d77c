"""Connections that may have to give way to others when descriptors run out: those without a stream."""

from typing import Protocol

from mediaserver.errors import RefusalReason, RefusedError

NO_ROOM = RefusedError(RefusalReason.DESCRIPTORS, "too many connections: try again later")


class Replaceable(Protocol):
    """A connection without a stream: it may have to give way to another."""

    def turn_away(self, error: RefusedError) -> None:
        """Let go of it at once."""


class Other(Replaceable, Protocol):
    """A connection that is counted with the WebSockets': of another media port, or in the handshake of TLS."""

    def abort(self) -> None:
        """Leave it at once, stream or not."""


Waiting = dict[Replaceable, None]  # those of a kind, oldest first


def replace_oldest(*kinds: Waiting) -> bool:
    """End the oldest connection of the kind that there are most of; whether there was one.

    So many of one kind end one another, and none of another kind.
    """
    most = max(kinds, key=len)
    if not most:
        return False
    oldest = next(iter(most))
    del most[oldest]
    oldest.turn_away(NO_ROOM)
    return True
