"""File descriptors: how many the system grants, and how many connections that is enough for."""

import resource

import structlog

_SPARE = 100  # descriptors for all that is no connection: listeners, decoders, recordings, webhooks
ADMIN_CONNECTIONS = 32  # of the admin port, which have descriptors of their own
_KEPT = _SPARE + ADMIN_CONNECTIONS
_HANDSHAKES = 900  # connections that are no streams yet

log = structlog.get_logger()


def raise_descriptor_limit(streams: int) -> None:
    """Each stream is a file descriptor; systems grant fewer than they would on request."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = streams + _KEPT + _HANDSHAKES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < streams + _KEPT:
        log.warning(
            "fewer file descriptors than streams", key="server.max_streams", streams=streams, descriptors=soft
        )


def most_connections() -> int:
    """Connections of the media ports that the descriptors are enough for, with some to spare for all else."""
    return max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _KEPT)
