"""Peers that misbehave. The server must disconnect each of them, and no call may suffer from them."""

import asyncio
import base64
import contextlib
import os
import random
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from mediaserver.audio.pcm import FRAME_BYTES
from mediaserver.transport.masking import mask
from mediaserver.wire import websocket

from .prompts import passed
from .tally import Tally

_PATIENCE = 120.0  # seconds within which the server must disconnect a hostile peer
_SMALL = 4096  # bytes of a peer's receive buffer: small, so that it is soon full if it is not read
_FRAME = websocket.binary(bytes(FRAME_BYTES))  # a WebSocket frame as the server sends it
_TEXT = b"\x81\x85" + bytes(4) + b"hello"
_MOMENT = 1.0

Misbehave = Callable[["Line"], Awaitable[None]]


class Line:
    """A TCP connection to the server, on which a hostile peer may send anything."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, rng: random.Random) -> None:
        self.reader, self.writer, self.rng = reader, writer, rng

    def request(self) -> bytes:
        """A valid WebSocket handshake request."""
        key = base64.b64encode(os.urandom(16)).decode()
        return (
            "GET /hold HTTP/1.1\r\nHost: here\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()

    async def send(self, data: bytes) -> None:
        """Send data, as fast as the server reads them."""
        self.writer.write(data)
        await self.writer.drain()

    async def upgrade(self) -> None:
        """Make a valid handshake, after which the connection is a stream."""
        await self.send(self.request())
        await self.reader.readuntil(b"\r\n\r\n")

    async def until_closed(self) -> None:
        """Read until the server closes the connection."""
        while await self.reader.read(65536):
            pass


async def _never_reads(line: Line) -> None:
    """Never read, so that the TCP window closes. The server must reset the connection, which a send notices."""
    await line.upgrade()
    line.writer.transport.pause_reading()  # type: ignore[attr-defined]
    while True:  # a reset is noticed when something is sent
        await asyncio.sleep(_MOMENT)
        await line.send(_TEXT)


async def _half_handshake(line: Line) -> None:
    request = line.request()
    await line.send(request[: line.rng.randrange(len(request) - 1)])
    await line.until_closed()


async def _garbage(line: Line) -> None:
    if line.rng.random() < 0.5:
        await line.upgrade()
    await line.send(b"\xff" + line.rng.randbytes(line.rng.randrange(1, 4000)))
    await line.until_closed()


async def _flood(line: Line) -> None:
    await line.upgrade()
    reading = asyncio.ensure_future(line.until_closed())
    try:
        while not reading.done():
            await line.send(mask(websocket.binary(b""), bytes(4)) * 100)
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def _oversize(line: Line) -> None:
    await line.upgrade()
    await line.send(mask(websocket.binary(bytes(line.rng.choice((66_000, 1_000_000)))), bytes(4)))
    await line.until_closed()


async def _text(line: Line) -> None:
    """Send text messages, which the server ignores, and then hang up."""
    await line.upgrade()
    for _ in range(10):
        await line.send(_TEXT)
        await line.reader.readexactly(len(_FRAME))
    line.writer.close()


async def _vanish(line: Line) -> None:
    """Disconnect in the middle of a WebSocket frame."""
    await line.upgrade()
    await line.send(mask(_FRAME, bytes(4))[: line.rng.randrange(1, 300)])
    line.writer.close()


async def _reset(line: Line) -> None:
    """Reset the TCP connection at a random moment."""
    if line.rng.random() < 0.8:
        await line.upgrade()
        await asyncio.sleep(line.rng.uniform(0, _MOMENT))
    else:
        await line.send(line.request())
    connection = line.writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    line.writer.transport.abort()


KINDS: dict[str, Misbehave] = {
    "never reads": _never_reads,
    "half a handshake": _half_handshake,
    "garbage": _garbage,
    "flood": _flood,
    "oversize": _oversize,
    "text": _text,
    "vanishes in mid-frame": _vanish,
    "reset": _reset,
}


class Hostile:
    """Sends hostile peers, every kind in turn, each of which stays until the server disconnects it."""

    def __init__(self, url: str, tally: Tally, rng: random.Random) -> None:
        self._host, self._port = urlsplit(url).hostname, urlsplit(url).port
        self._tally, self._rng = tally, rng

    async def come(self, over: asyncio.Event, every: float, seconds: float) -> None:
        """Send a peer about every `every` seconds, for `seconds` or until `over`; wait for the last to be gone."""
        kinds: list[str] = []
        until = time.monotonic() + seconds
        async with asyncio.TaskGroup() as group:
            while time.monotonic() < until and not await passed(over, self._rng.uniform(0, 2) * every):
                kinds = kinds or self._rng.sample(list(KINDS), len(KINDS))
                group.create_task(self.misbehave(kinds.pop()))

    async def misbehave(self, kind: str) -> None:
        """Run one hostile peer until the server has disconnected it."""
        self._tally.faults[kind] += 1
        try:
            async with asyncio.timeout(_PATIENCE):
                with contextlib.suppress(OSError, EOFError):
                    await self._connect_and(KINDS[kind])
        except TimeoutError:
            self._tally.survived[kind] += 1
            self._tally.print_errors(f"a peer was not got rid of in {_PATIENCE:g} s: {kind}")

    async def _connect_and(self, misbehave: Misbehave) -> None:
        connection = socket.socket()
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
        await asyncio.get_running_loop().sock_connect(connection, (self._host, self._port))
        reader, writer = await asyncio.open_connection(sock=connection, limit=_SMALL)
        try:
            await misbehave(Line(reader, writer, self._rng))
        finally:
            writer.transport.abort()
