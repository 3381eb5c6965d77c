"""The least that a WebSocket server on aiohttp and uvloop does: what received frames are measured against.

    python -m benchmarks.yardsticks.aiohttp_reader [--speak BYTES] PORT

It reads every message and drops it. With --speak it also sends one binary message of so many bytes to each peer
every 20 ms, the same bytes to all, written straight to the transport by one ticker.
"""

import argparse
import asyncio
import itertools
from collections.abc import Callable

import uvloop
from aiohttp import web

from benchmarks.yardsticks import SLOTS
from mediaserver.audio.pcm import PTIME
from mediaserver.wire import websocket


class Speaker:
    """Writes to all peers, a slot of them at a time."""

    def __init__(self, message: bytes) -> None:
        self._message = message
        self._slots: list[list[Callable[[bytes], None]]] = [[] for _ in range(SLOTS)]

    async def run(self) -> None:
        """Go round the slots until a peer is gone: then the measurement is over."""
        loop = asyncio.get_running_loop()
        due = loop.time()
        for slot in itertools.cycle(self._slots):
            try:
                for write in slot:
                    write(self._message)
            except RuntimeError:  # uvloop's word for a closed transport
                return
            due += PTIME / SLOTS
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)

    def add(self, write: Callable[[bytes], None]) -> None:
        """Another peer, in the emptiest slot."""
        min(self._slots, key=len).append(write)


async def serve(port: int, speak: int | None) -> None:
    """Serve until the process is ended."""
    speaker = Speaker(websocket.binary(bytes(speak))) if speak else None

    async def endpoint(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        if speaker is not None and request.transport is not None:
            speaker.add(request.transport.write)
        async for _ in ws:
            pass
        return ws

    app = web.Application()
    app.router.add_get("/{path:.*}", endpoint)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await (speaker.run() if speaker is not None else asyncio.get_running_loop().create_future())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("port", type=int)
    parser.add_argument("--speak", type=int)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.speak))
