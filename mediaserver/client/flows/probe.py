"""Tests whether this machine can reach a host and port that a flow names, which VoIPBIN has to reach as well."""

import asyncio
import time
from typing import NamedTuple

from mediaserver.errors import error_text

_TIMEOUT = 5.0  # the time limit in seconds for connecting


class Probe(NamedTuple):
    """The result of a test: whether a TCP connection could be made, and a line for the user that says so."""

    reached: bool
    line: str


async def probe_address(host: str, port: int) -> Probe:
    """Connect to a host and port by TCP, and close the connection at once."""
    where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    began = time.monotonic()
    try:
        async with asyncio.timeout(_TIMEOUT):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return Probe(False, f"{where}: cannot be reached within {_TIMEOUT:g} s")
    except (OSError, UnicodeError) as error:  # UnicodeError is raised for an invalid host name
        return Probe(False, f"{where}: cannot be reached: {error_text(error)}")
    milliseconds = (time.monotonic() - began) * 1000
    writer.transport.abort()
    return Probe(True, f"{where}: reached from here in {milliseconds:.0f} ms")
