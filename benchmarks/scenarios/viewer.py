"""A browser that shows the page Live of the console whenever it is told to.

    python -m benchmarks.scenarios.viewer PORT

For each line `look` of its input, it makes the requests that the page makes to the admin port: for the table of
all streams, and for the levels of those on the screen. It prints `watching` once both are under way. For each line
`rest`, it ends them, and prints `resting`. It does as little as it can with what comes, since it shares a core
with what measures.
"""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator

import aiohttp

_METERS = 40  # streams whose levels are shown
_PATIENCE = 2.0  # seconds for the first levels, which come within 0.2 s
_MAX_MESSAGE = 1 << 24  # bytes: a row takes some 100, and the first message has all rows


async def main(port: int) -> None:
    """Look and rest, as the lines of the input say, until there are no more."""
    server = f"http://127.0.0.1:{port}/v1"
    async with aiohttp.ClientSession() as client:
        while await asyncio.to_thread(sys.stdin.readline):
            async with _looking(client, server):
                print("watching", flush=True)
                await asyncio.to_thread(sys.stdin.readline)
            print("resting", flush=True)


@contextlib.asynccontextmanager
async def _looking(client: aiohttp.ClientSession, server: str) -> AsyncIterator[None]:
    """Make all requests of the page until the `async with` block is left."""
    async with client.ws_connect(f"{server}/overview", max_msg_size=_MAX_MESSAGE) as overview:
        rows = json.loads(await overview.receive_str())["rows"]
        ids = ",".join(row[0] for row in rows[:_METERS])
        async with client.ws_connect(f"{server}/levels", params={"streams": ids}) as levels:
            with contextlib.suppress(TimeoutError):  # where all streams have ended meanwhile, no levels come
                await levels.receive(_PATIENCE)
            tasks = [asyncio.create_task(_ignore(socket)) for socket in (overview, levels)]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.wait(tasks)


async def _ignore(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in socket:
        pass
    raise SystemExit("the server has hung up")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
