"""File descriptors: how many this process may have, and how many connections they suffice for."""

import resource

import structlog

_RESERVED = 100  # number of descriptors for other uses than media: listeners, decoders, recordings, webhooks
MAX_ADMIN_CONNECTIONS = 32  # the most connections of the admin port; a descriptor is reserved for each
_ALL_RESERVED = _RESERVED + MAX_ADMIN_CONNECTIONS
_HANDSHAKES = 900  # number of descriptors wanted for connections that are in their handshake

_extra = 0  # number of descriptors reserved for other listeners, such as the flow port, besides `_ALL_RESERVED`

log = structlog.get_logger()


def reserve_descriptors(count: int) -> None:
    """Reserve `count` more descriptors for other uses than media. A later call replaces this reservation."""
    global _extra
    _extra = count


def raise_descriptor_limit(streams: int) -> None:
    """Raise the process's soft limit of file descriptors for a number of streams, each of which takes one.

    A warning is logged if the hard limit is too low.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    reserved = _ALL_RESERVED + _extra
    wanted = streams + reserved + _HANDSHAKES
    if soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft < streams + reserved:
        log.warning("file descriptor limit too low", key="server.max_streams", streams=streams, descriptors=soft)


def max_connections() -> int:
    """How many connections the media ports may have: as many as there are descriptors that are not reserved."""
    return max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _ALL_RESERVED - _extra)
