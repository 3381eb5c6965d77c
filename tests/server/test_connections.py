"""Connections that have yet to say what they want."""

import asyncio

import structlog
from aiohttp import web

from mediaserver.metrics import Metrics
from mediaserver.server.connections import Connections
from mediaserver.server.listener import Listener
from mediaserver.settings import ServerSettings


async def test_our_own_fault_is_logged_with_where_it_happened() -> None:
    async def break_down(request: web.BaseRequest) -> web.StreamResponse:
        raise LookupError("ours")

    connections = Connections(break_down, ServerSettings, Metrics())
    listener = Listener(connections)
    port = await listener.open("127.0.0.1", 0, "server")
    try:
        with structlog.testing.capture_logs() as logged:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            assert (await reader.readline()).split()[1] == b"500"
            writer.close()
        (line,) = [line for line in logged if line["event"] == "request failed"]
        assert line["exc_info"].__traceback__ is not None
    finally:
        await listener.close()
        await connections.shutdown(1)
