"""TCP keepalive (RFC 9293, section 3.8.4) for AudioSocket, which has no pings.

While we send, `server.stall_timeout` finds a peer that is gone, because our data stays unread. On a connection on
which nothing is sent, keepalive finds such a peer.
"""

import asyncio
import contextlib
import errno
import math
import socket
from typing import Any

_PROBES = 4  # unanswered probes, a quarter of the interval apart, after which the peer is given up


def enable_keepalive(transport: asyncio.BaseTransport, interval: float) -> None:
    """Probe a peer that is silent for `interval` seconds; after `interval` more seconds of silence, give it up.

    With an `interval` of 0, keepalive stays off.

    The kernel counts whole seconds, so both times are rounded up.
    """
    connection: Any = transport.get_extra_info("socket")
    if connection is None or not interval:
        return
    with contextlib.suppress(OSError):  # the connection may be gone already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            ("TCP_KEEPIDLE", math.ceil(interval)),
            ("TCP_KEEPINTVL", math.ceil(interval / _PROBES)),
            ("TCP_KEEPCNT", _PROBES),
        ):
            if hasattr(socket, option):  # some systems lack some of these options
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def is_keepalive_timeout(error: BaseException | None) -> bool:
    """Whether a connection was lost because its peer's kernel stopped answering."""
    return isinstance(error, OSError) and error.errno in (errno.ETIMEDOUT, errno.EHOSTUNREACH)
