"""What a first try looks like: a coroutine for each call, which sends a chunk and sleeps until the next is due.

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
    """Send until the peer is gone."""
    loop = asyncio.get_running_loop()
    due = loop.time()
    with contextlib.suppress(ConnectionError):
        while True:
            await ws.send_bytes(CHUNK)
            due += PTIME
            await asyncio.sleep(due - loop.time())


async def call(request: web.Request) -> web.WebSocketResponse:
    """A caller: plays while it reads what they say, which nobody listens to."""
    ws = web.WebSocketResponse(compress=False)
    await ws.prepare(request)
    playing = asyncio.create_task(play(ws))
    async for _ in ws:
        pass
    playing.cancel()
    return ws


async def serve(port: int) -> None:
    """Until the process is ended."""
    app = web.Application()
    app.router.add_get("/", call)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.get_running_loop().create_future()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
