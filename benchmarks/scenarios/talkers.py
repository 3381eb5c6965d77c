"""Callers who have texts spoken to them, and callers who speak, for as long as nobody ends this process.

    python -m benchmarks.scenarios.talkers PORT

Each of the first hears sentences that nobody asked for before, one call after another. Each of the others says the
same again and again, with pauses, as it was told them once. "talking" is printed once all are at it.
"""

import asyncio
import itertools
import sys

import aiohttp

LISTENERS, TALKERS = 10, 4
TOKEN = "of-the-benchmark"  # noqa: S105 - with it, texts may be spoken that nobody asked for before
_TEXT = "can you help me"
_PAUSE = 50  # frames
_PTIME = 0.02


async def main(port: int) -> None:
    """All of them, at once."""
    server, numbers = f"http://127.0.0.1:{port}", itertools.count(1)
    async with aiohttp.ClientSession() as client, asyncio.TaskGroup() as group:
        said = await _told(client, server, _TEXT)
        for _ in range(LISTENERS):
            group.create_task(_listen(client, server, numbers))
        for _ in range(TALKERS):
            group.create_task(_talk(client, server, said))
        print("talking", flush=True)


async def _told(client: aiohttp.ClientSession, server: str, text: str) -> list[bytes]:
    async with client.ws_connect(f"{server}/say", params={"text": text, "token": TOKEN}) as call:
        return [message.data async for message in call]


async def _listen(client: aiohttp.ClientSession, server: str, numbers: "itertools.count[int]") -> None:
    for number in numbers:
        await _told(client, server, f"Your order number {number} will be ready in {number + 1} minutes.")


async def _talk(client: aiohttp.ClientSession, server: str, said: list[bytes]) -> None:
    """Frames on time: an utterance, then a pause."""
    silence = bytes(len(said[0]))
    clock = asyncio.get_running_loop().time
    async with client.ws_connect(f"{server}/recognise") as call:
        hearing = asyncio.create_task(_hear(call))
        began = clock()
        for number, frame in enumerate(itertools.cycle([*said, *[silence] * _PAUSE])):
            await asyncio.sleep(began + number * _PTIME - clock())
            await call.send_bytes(frame)
            if hearing.done():
                raise SystemExit("the server hung up on a talker")


async def _hear(call: aiohttp.ClientWebSocketResponse) -> None:
    async for _ in call:
        pass


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
