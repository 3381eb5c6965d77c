"""A client of the twin that is not ours: plain aiohttp."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import aiohttp

from tests.sound import speechlike
from tests.timing import PATIENCE
from tests.twin import Twin

FRAMES = 5
PCM = speechlike(160 * FRAMES).astype("<i2").tobytes()
CHUNKS = [PCM[at : at + 320] for at in range(0, len(PCM), 320)]
CALL = "652af662-eb45-11ee-b1a5-6fde165f9226"


@contextlib.asynccontextmanager
async def dial(
    twin: Twin, what: str = "calls", id_: str = CALL, **query: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    query = {"encapsulation": "audiosocket", "token": "secret"} | query
    url = f"{twin.api}/{what}/{id_}/media_stream"
    async with aiohttp.ClientSession() as client, client.ws_connect(url, params=query) as websocket:
        yield websocket


async def status(twin: Twin, **options: str) -> int:
    try:
        async with dial(twin, **options):
            return 101
    except aiohttp.WSServerHandshakeError as error:
        return error.status


async def receive(websocket: aiohttp.ClientWebSocketResponse, count: int) -> list[bytes]:
    return [await websocket.receive_bytes(timeout=PATIENCE) for _ in range(count)]


async def rest(websocket: aiohttp.ClientWebSocketResponse) -> list[bytes | str]:
    """All that comes until the end."""
    async with asyncio.timeout(PATIENCE):
        return [message.data async for message in websocket]
