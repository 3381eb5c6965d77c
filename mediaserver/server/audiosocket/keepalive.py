"""TCP keepalive (RFC 9293, section 3.8.4) in place of pings, which AudioSocket has none of.

While we send, a peer that is gone shows by what it does not take (`stall_timeout`). Keepalive is for a connection
on which nothing is under way.
"""

import asyncio
import contextlib
import errno
import math
import socket
from typing import Any

_PROBES = 4  # unanswered, in as many quarters of the interval


def keep_alive(transport: asyncio.BaseTransport, interval: float) -> None:
    """Probe an idle peer after `interval` seconds, and give it up after as many more; 0 for never.

    The system counts in seconds: an interval is a whole number of them, and a probe's at least one.
    """
    connection: Any = transport.get_extra_info("socket")
    if connection is None or not interval:
        return
    with contextlib.suppress(OSError):  # it may be gone already
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (
            ("TCP_KEEPIDLE", math.ceil(interval)),
            ("TCP_KEEPINTVL", math.ceil(interval / _PROBES)),
            ("TCP_KEEPCNT", _PROBES),
        ):
            if hasattr(socket, option):  # not on every system
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def is_unanswered(error: BaseException | None) -> bool:
    """Whether a connection was lost because the peer answered nothing any more."""
    return isinstance(error, OSError) and error.errno in (errno.ETIMEDOUT, errno.EHOSTUNREACH)
