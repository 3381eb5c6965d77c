"""A browser that shows the page Live of the console, for as long as nobody ends this process.

    python -m benchmarks.scenarios.viewer PORT STREAMS

Once there are so many streams, it makes the requests that the page makes to the admin port: all streams again and
again, events, and levels. "watching" is printed once all of them are under way. It does as little as it can with
what comes, since it shares a core with what measures.
"""

import asyncio
import re
import sys

import aiohttp

_EVERY = 3.0  # seconds between two looks, at least
DESCRIBED = 150  # streams that are described in a second, on average
_AT_ONCE = 500  # streams in an answer
_PATIENCE = 0.1  # seconds between two looks whether there are enough streams
_METERS = 40  # streams whose levels are shown
_KINDS = "stream.started,stream.ended"
_NEXT, _ID = re.compile(rb'"next": "(\w+)"'), re.compile(rb'"id": "(\w+)"')


async def main(port: int, streams: int) -> None:
    """All requests of the page, at once."""
    server = f"http://127.0.0.1:{port}/v1"
    async with aiohttp.ClientSession() as client:
        await _wait_for(client, server, streams)
        page = await _look(client, server)
        ids = ",".join(found.decode() for found in _ID.findall(page)[:_METERS])
        async with (
            client.ws_connect(f"{server}/events", params={"type": _KINDS}) as events,
            client.ws_connect(f"{server}/levels", params={"streams": ids}) as levels,
            asyncio.TaskGroup() as group,
        ):
            await levels.receive()
            for socket in (events, levels):
                group.create_task(_ignore(socket))
            print("watching", flush=True)
            while True:
                await asyncio.sleep(max(_EVERY, streams / DESCRIBED))
                await _look(client, server)


async def _wait_for(client: aiohttp.ClientSession, server: str, streams: int) -> None:
    total = 0
    while total < streams:
        await asyncio.sleep(_PATIENCE)
        async with client.get(f"{server}/streams", params={"limit": "1"}) as answer:
            total = (await answer.json())["total"]


async def _look(client: aiohttp.ClientSession, server: str) -> bytes:
    """Ask for all streams, by pages; returns the first page."""
    pages: list[bytes] = []
    after = b""
    while not pages or after:
        query = {"limit": str(_AT_ONCE)} | ({"after": after.decode()} if after else {})
        async with client.get(f"{server}/streams", params=query) as answer:
            pages.append(await answer.read())
        found = _NEXT.search(pages[-1], len(pages[-1]) - 100)
        after = found[1] if found else b""
    return pages[0]


async def _ignore(socket: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in socket:
        pass
    raise SystemExit("the server has hung up")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
