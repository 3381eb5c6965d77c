"""What the WebSockets of the admin port have in common."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any, NamedTuple

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.server.http.upgrade import validate_handshake

_HEARTBEAT = 20.0  # seconds between pings; a peer that does not answer is disconnected
_CLOSING = (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING, WSMsgType.ERROR)

# The most bytes a second that are read from a peer: twice the rate of PCM, so that a peer can catch up after its
# network stood still.
RATE = 32_000
BURST = 1.0  # seconds: a peer may send at once as many bytes as come in this time at `RATE`
MESSAGE_COST = 32  # bytes added to the size of each message when its rate is compared with `RATE`
_MAX_MESSAGE = 1024  # the most bytes of a message from a peer that has nothing, or little, to say


class Close(NamedTuple):
    """Why a WebSocket is closed: the code and the text of its close frame (RFC 6455, section 7.4.1)."""

    code: int
    why: str


SHUTTING_DOWN = Close(WSCloseCode.GOING_AWAY, "server is shutting down")


class Pace:
    """Computes how long to wait before more is read from a peer, so that it sends at `RATE` on average."""

    def __init__(self, now: float) -> None:
        self._due = now - BURST  # when all bytes read so far would have come at `RATE`, in seconds

    def delay_after(self, size: int, now: float) -> float:
        """Seconds to wait after a message of `size` bytes, which was read at the time `now`, in seconds."""
        self._due = max(self._due, now - BURST) + (size + MESSAGE_COST) / RATE
        return max(0.0, self._due - now)


def require_handshake(request: web.Request) -> None:
    """Refuse a request whose answer is a WebSocket if it is plain HTTP (426), or a wrong handshake (400)."""
    if request.headers.get("Upgrade", "").strip().lower() != "websocket":
        raise RefusedError(RefusalReason.NOT_WEBSOCKET, f"{request.path} is a WebSocket: connect to it by ws://")
    validate_handshake(request)


async def serve_websocket(
    request: web.Request,
    serve: Callable[[web.WebSocketResponse], Awaitable[Close]],
    max_message: int = _MAX_MESSAGE,
) -> web.WebSocketResponse:
    """Answer a WebSocket's handshake, run `serve` on it, and close it for the reason that `serve` returns.

    `serve` reads by `read_messages`. Messages of more bytes than `max_message` close the WebSocket. A peer that
    leaves, be it amid the handshake, ends `serve` by a ConnectionError, and is no fault to be logged.
    RefusedError as of `require_handshake`.
    """
    require_handshake(request)
    socket = web.WebSocketResponse(heartbeat=_HEARTBEAT, autoping=False, compress=False, max_msg_size=max_message)
    try:
        await socket.prepare(request)
        close = await serve(socket)
    except ConnectionError:
        return socket
    await socket.close(code=close.code, message=close.why.encode())
    return socket


async def read_messages(socket: web.WebSocketResponse) -> AsyncIterator[WSMessage]:
    """Yield the messages of a peer until it has gone.

    No more than `RATE` bytes a second are read. The network then slows down a peer that sends too fast, and no
    call is delayed.
    """
    clock = asyncio.get_running_loop().time
    pace = Pace(clock())
    while (message := await socket.receive()).type not in _CLOSING:
        if message.type is WSMsgType.PING:
            await socket.pong(message.data)
        elif message.type is not WSMsgType.PONG:
            yield message
        if delay := pace.delay_after(len(message.data), clock()):
            await asyncio.sleep(delay)


async def read_until_closed(socket: web.WebSocketResponse) -> None:
    """Read, and ignore, what the peer sends, until it has gone."""
    async for _ in read_messages(socket):
        pass


async def until_first(*work: Coroutine[Any, Any, Any]) -> None:
    """Run coroutines until one of them ends, and cancel the others. If that one has failed, raise its error."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
