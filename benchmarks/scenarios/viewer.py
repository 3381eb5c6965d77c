"""A browser that shows the page Live of the console whenever it is told to.

    python -m benchmarks.scenarios.viewer PORT

For each line `look` of its input, it makes the requests that the page makes to the admin port: all streams again
and again, events, and levels. It prints `watching` once all of them are under way. For each line `rest`, it ends
them, and prints `resting`. It does as little as it can with what comes, since it shares a core with what measures.
"""

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator

import aiohttp

_EVERY = 3.0  # seconds between two looks, at least
DESCRIBED = 150  # streams that are described in a second, on average
_AT_ONCE = 500  # streams in an answer
_METERS = 40  # streams whose levels are shown
_KINDS = "stream.started,stream.ended"
_NEXT, _ID = re.compile(rb'"next": "(\w+)"'), re.compile(rb'"id": "(\w+)"')
_TOTAL = re.compile(rb'"total": (\d+)')


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
    pages = await _look(client, server)
    ids = ",".join(found.decode() for found in _ID.findall(pages[0])[:_METERS])
    total = int(_TOTAL.findall(pages[0])[-1])
    async with (
        client.ws_connect(f"{server}/events", params={"type": _KINDS}) as events,
        client.ws_connect(f"{server}/levels", params={"streams": ids}) as levels,
    ):
        await levels.receive()
        works = (_ignore(events), _ignore(levels), _look_again(client, server, total))
        tasks = [asyncio.create_task(work) for work in works]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)


async def _look_again(client: aiohttp.ClientSession, server: str, streams: int) -> None:
    while True:
        await asyncio.sleep(max(_EVERY, streams / DESCRIBED))
        await _look(client, server)


async def _look(client: aiohttp.ClientSession, server: str) -> list[bytes]:
    """Ask for all streams, by pages."""
    pages: list[bytes] = []
    after = b""
    while not pages or after:
        query = {"limit": str(_AT_ONCE)} | ({"after": after.decode()} if after else {})
        async with client.get(f"{server}/streams", params=query) as answer:
            pages.append(await answer.read())
        found = _NEXT.search(pages[-1], len(pages[-1]) - 100)
        after = found[1] if found else b""
    return pages


async def _ignore(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in socket:
        pass
    raise SystemExit("the server has hung up")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
