"""Reads what a peer has sent before a connection broke."""

import asyncio
import contextlib
import os

_MAX_BYTES = 256 * 1024  # the most bytes that are read from a broken connection
_AT_ONCE = 16 * 1024  # bytes that are read at a time


def read_unread(transport: asyncio.Transport, error: BaseException | None) -> bytes:
    """Read what the kernel still holds of a plain TCP connection whose `connection_lost` is called with `error`.

    A peer that hangs up sends its last frames, and closes. If we were late meanwhile, we may write before we read:
    the peer's kernel then resets the connection, the next write fails, and the event loop gives the connection up
    without reading it. The kernel keeps what it has received until the socket is closed.
    """
    data = bytearray()
    # Without an error, all was read, or we have ended the connection.
    connection = transport.get_extra_info("socket") if error is not None else None
    if connection is not None and transport.get_extra_info("sslcontext") is None:
        with contextlib.suppress(OSError):
            while len(data) < _MAX_BYTES and (part := os.read(connection.fileno(), _AT_ONCE)):
                data += part
    return bytes(data)
