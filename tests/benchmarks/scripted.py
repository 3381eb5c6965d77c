"""A WebSocket server that sends each caller exactly what a test says, when it says it."""

import asyncio
import contextlib
import select
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable

from mediaserver.wire import websocket

Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
_UPGRADED = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: %b\r\n\r\n"

# Turns of the event loop, in which connections that were just accepted become calls, to be closed as well.
_TURNS = 10


async def _accept_all(server: asyncio.Server) -> None:
    """Wait until each connection is a call. CPython 3.11 forgets others, unclosed, when the server closes."""
    while select.select(server.sockets, [], [], 0)[0]:  # on a busy machine, some wait to be accepted
        await asyncio.sleep(0)
    for _ in range(_TURNS):
        await asyncio.sleep(0)


async def upgrade(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, also: bytes = b"") -> bytes:
    """Answer a handshake, with frames in the same write perhaps. Returns the request."""
    head = await reader.readuntil(b"\r\n\r\n")
    key = head.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
    writer.write(_UPGRADED % websocket.accept_key(key.decode()).encode() + also)
    return head


@contextlib.asynccontextmanager
async def served(script: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Its port, while it serves; a script that fails fails the test."""
    faults: list[Exception] = []
    calls: dict[asyncio.StreamWriter, asyncio.Task[None]] = {}

    async def call(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await script(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass  # the listeners are done
        except Exception as error:
            faults.append(error)
        finally:
            if not writer.is_closing():  # with TLS, Python 3.11.2 cannot abort what was closed once it was lost
                writer.close()

    def called(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        calls[writer] = asyncio.get_running_loop().create_task(call(reader, writer))

    server = await asyncio.start_server(called, "127.0.0.1", 0, ssl=tls, backlog=512)
    async with server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:  # listeners that were refused raise an error, and others of them may still wait for an answer
            await _accept_all(server)
            for task in calls.values():
                task.cancel()
            await asyncio.gather(*calls.values(), return_exceptions=True)  # one may not even have begun
            for writer in calls:
                writer.transport.abort()
                with contextlib.suppress(ConnectionError):
                    await writer.wait_closed()
    assert not faults
