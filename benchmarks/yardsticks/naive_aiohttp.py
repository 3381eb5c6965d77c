"""A naive first try of a server: a coroutine for each call sends a chunk, and sleeps until the next chunk is due.

python -m benchmarks.yardsticks.naive_aiohttp PORT
"""

import asyncio
import contextlib
import sys

import uvloop
from aiohttp import web

from mediaserver.audio.pcm import FRAME_BYTES, PTIME

CHUNK = bytes(FRAME_BYTES)


async def play(ws: web.WebSocketResponse) -> None:
    """Send a chunk every 20 ms until the peer is gone."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    with contextlib.suppress(ConnectionError):
        while True:
            await ws.send_bytes(CHUNK)
            due += PTIME
            await asyncio.sleep(due - loop.time())


async def call(request: web.Request) -> web.WebSocketResponse:
    """Serve a call: send audio, and read and drop the caller's audio meanwhile."""
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    playing = asyncio.create_task(play(ws))
    async for _ in ws:
        pass
    playing.cancel()
    return ws


async def serve(port: int) -> None:
    """Serve calls on a port until the process is ended."""
    app = web.Application()
    app.router.add_get("/", call)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
