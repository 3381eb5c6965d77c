"""What the machine grants and what a second may hold: file descriptors, handshakes."""

import resource
import time
from collections.abc import Callable

import structlog

_SPARE = 100  # descriptors for all that is no connection: listeners, decoders, recordings, webhooks
_HANDSHAKES = 900  # connections that are no streams yet

log = structlog.get_logger()


def raise_descriptor_limit(streams: int) -> None:
    """Each stream is a file descriptor; systems grant fewer than they would on request."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = streams + _SPARE + _HANDSHAKES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < streams + _SPARE:
        log.warning(
            "fewer file descriptors than streams", key="server.max_streams", streams=streams, descriptors=soft
        )


def most_connections() -> int:
    """Connections that the descriptors are enough for, with some to spare for all else."""
    return max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE)


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
