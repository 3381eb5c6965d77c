"""Calls to a real server, requests to its admin port about them, and the events that come of it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import numpy as np

from mediaserver.audio.pcm import to_bytes
from tests.server.admin.contract import check_answer
from tests.server.process import Heard, ServerProcess, client_session, listen
from tests.timing import PATIENCE, eventually

# Every frame of a prompt differs from all others, so that what was heard names the frame.
LONG = np.repeat(np.arange(1, 1001, dtype=np.int16) * 8, 160)
SHORT = np.repeat(np.arange(1, 6, dtype=np.int16) * -1000, 160)
# The beginning of a configuration: those who ask, each with a token.
TOKENS = """
token = "of-the-admin"
[admin.tokens.reader]
token = "of-the-reader"
[admin.tokens.agent]
token = "of-the-agent"
scopes = ["read", "control"]
"""
CONFIG = f"""{TOKENS}
[defaults]
framing = "pcm"
lead = 0
[paths."/long"]
handler = "playback"
prompt = "long"
[paths."/silence"]
handler = "silence"
[paths."/keys"]
handler = "analyse"
"""


def bearer(name: str) -> dict[str, str]:
    return {"Authorization": f"Bearer of-the-{name}"}


async def ask(
    server: ServerProcess, method: str, path: str, body: object = None, by: str = "agent"
) -> tuple[int, Any]:
    """Status and JSON of an answer, which must be as the API's description says."""
    async with client_session() as client:
        response = await client.request(method, server.admin_url(path), json=body, headers=bearer(by))
        text = await response.text()
        answer = json.loads(text) if text else None
        check_answer(method, path, response.status, answer)
        return response.status, answer


@contextlib.asynccontextmanager
async def calling(server: ServerProcess, path: str) -> AsyncIterator[tuple[str, Heard]]:
    """A call that has been heard; yields its stream's id, and what is heard."""
    before = {stream["id"] for stream in (await ask(server, "GET", "/v1/streams"))[1]["streams"]}
    heard = Heard()
    task = asyncio.create_task(listen(server.url(path), heard=heard))
    await eventually(lambda: bool(heard.messages) or task.done())
    streams = (await ask(server, "GET", "/v1/streams"))[1]["streams"]
    (stream,) = [stream["id"] for stream in streams if stream["id"] not in before]
    try:
        yield stream, heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def message(websocket: aiohttp.ClientWebSocketResponse) -> Any:
    async with asyncio.timeout(PATIENCE):
        return json.loads(await websocket.receive_str())


async def event(websocket: aiohttp.ClientWebSocketResponse, kind: str) -> Any:
    """The next event of a kind."""
    while (found := await message(websocket))["type"] != kind:
        pass
    return found


def parts(samples: np.ndarray) -> list[bytes]:
    return [to_bytes(part) for part in samples.reshape(-1, 160)]
