"""File descriptors: how many the system grants the process, and how many connections that is enough for."""

import resource

import structlog

_RESERVED = 100  # descriptors for other things than connections: listeners, decoders, recordings, webhooks
MAX_ADMIN_CONNECTIONS = 32  # connections of the admin port; descriptors are reserved for them as well
_ALL_RESERVED = _RESERVED + MAX_ADMIN_CONNECTIONS
_HANDSHAKES = 900  # descriptors for connections in their handshake

log = structlog.get_logger()


def raise_descriptor_limit(streams: int) -> None:
    """Raise the soft limit of file descriptors for this number of streams, each of which takes one.

    A warning is logged where the hard limit is too low.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = streams + _ALL_RESERVED + _HANDSHAKES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < streams + _ALL_RESERVED:
        log.warning(
            "fewer file descriptors than streams", key="server.max_streams", streams=streams, descriptors=soft
        )


def max_connections() -> int:
    """How many connections the media ports may have: as many as there are descriptors that are not reserved."""
    return max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _ALL_RESERVED)
