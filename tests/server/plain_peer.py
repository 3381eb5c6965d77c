"""A peer of AudioSocket over TCP with plain sockets, whose bytes are parsed by hand."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from tests.timing import PATIENCE

CALL = UUID("12345678-1234-5678-9abc-def012345678")
UUID_MESSAGE = b"\x01\x00\x10" + CALL.bytes
HANGUP = b"\x00\x00\x00"
SILENCE = b"\x10\x01\x40" + bytes(320)


def message(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BH", kind, len(payload)) + payload


def sound(data: bytes) -> bytes:
    """The PCM of whole messages of one frame each; AssertionError where anything else is among them."""
    size = 323
    assert len(data) % size == 0, f"{len(data)} bytes are no whole frames: {data[-10:]!r}"
    frames = [data[at : at + size] for at in range(0, len(data), size)]
    assert {frame[:3] for frame in frames} <= {b"\x10\x01\x40"}
    return b"".join(frame[3:] for frame in frames)


class PlainPeer:
    """A connection, and all that came on it so far."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, began: datetime) -> None:
        self.reader, self.writer = reader, writer
        self.name = "{}:{}".format(*writer.get_extra_info("sockname"))
        self.began = began  # before it dialled
        self.heard = b""

    def say(self, data: bytes) -> None:
        self.writer.write(data)

    async def hear(self, frames: int) -> bytes:
        """The PCM of the next frames."""
        data = await asyncio.wait_for(self.reader.readexactly(323 * frames), PATIENCE)
        self.heard += data
        return sound(data)

    async def kind(self) -> int:
        """The kind of the next message, of any size."""
        head = await asyncio.wait_for(self.reader.readexactly(3), PATIENCE)
        await asyncio.wait_for(self.reader.readexactly(int.from_bytes(head[1:], "big")), PATIENCE)
        return head[0]

    async def to_the_end(self) -> bytes:
        """All bytes to the end; ConnectionResetError where the server does not close in order."""
        self.heard += await asyncio.wait_for(self.reader.read(), PATIENCE)
        return self.heard

    async def played(self) -> bytes:
        """All PCM up to an orderly end, as Asterisk wants it: `00 00 00`, and FIN."""
        data = await self.to_the_end()
        assert data.endswith(HANGUP), data[-10:]
        return sound(data[: -len(HANGUP)])

    @contextlib.asynccontextmanager
    async def talking(self, data: bytes = SILENCE, every: float = 0.02) -> AsyncIterator[None]:
        """Go on sending frames, whatever comes."""

        async def talk() -> None:
            with contextlib.suppress(ConnectionError):
                while True:
                    self.writer.write(data)
                    await self.writer.drain()
                    await asyncio.sleep(every)

        task = asyncio.create_task(talk())
        try:
            yield
        finally:
            task.cancel()


@contextlib.asynccontextmanager
async def dialled(port: int, first: bytes = UUID_MESSAGE, **options: Any) -> AsyncIterator[PlainPeer]:
    """A peer that has connected and sent its first bytes."""
    began = datetime.now(UTC)
    reader, writer = await asyncio.open_connection("127.0.0.1", port, **options)
    try:
        writer.write(first)
        yield PlainPeer(reader, writer, began)
    finally:
        writer.transport.abort()
