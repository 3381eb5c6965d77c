"""What the WebSockets of the admin port have in common."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiohttp import WSMsgType, web

HEARTBEAT = 20.0  # seconds between pings; a peer that does not answer is disconnected
CLOSING = (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR)


async def until_first(*work: Coroutine[Any, Any, Any]) -> None:
    """Run coroutines at the same time until one of them ends, and cancel the others. Raises what it raises."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def read_until_closed(socket: web.WebSocketResponse) -> None:
    """Read, and ignore, what the peer sends, until it has gone."""
    while (await socket.receive()).type not in CLOSING:
        pass
