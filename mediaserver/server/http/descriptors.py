"""File descriptors: how many the system grants the process, and how many connections that is enough for."""

import resource

import structlog

_RESERVED = 100  # descriptors for what is no connection: listeners, decoders, recordings, webhooks
MAX_ADMIN_CONNECTIONS = 32  # of the admin port, for which descriptors are reserved as well
_ALL_RESERVED = _RESERVED + MAX_ADMIN_CONNECTIONS
_HANDSHAKES = 900  # descriptors for connections in their handshake

log = structlog.get_logger()


def raise_descriptor_limit(streams: int) -> None:
    """Raise the soft limit of file descriptors for so many streams, of which each takes one.

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
    """How many connections of the media ports there are descriptors for, beside those that are reserved."""
    return max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _ALL_RESERVED)
