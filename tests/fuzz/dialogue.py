"""A raw connection: what is said on it, whatever it is, and all that is answered, within bounds of time."""

import asyncio
import contextlib
import socket
import struct
from dataclasses import dataclass
from typing import Literal

from tests.timing import PATIENCE

_PATIENCE = 0.1  # seconds for the first word of an answer: who has been told half a thing says nothing
_END = PATIENCE  # after our last word for the server's: more than its own time-outs
Ending = Literal["answer", "half-close", "reset"]


@dataclass(frozen=True)
class Script:
    """What to say: perhaps an upgrade that must be granted first, then pieces, and how to end."""

    pieces: list[bytes]
    ending: Ending = "answer"  # wait for one, a little, before we close our half
    upgrade: bytes = b""
    whole: bool = False  # a request that must be answered, however long that takes


async def hold(port: int, script: Script) -> bytes:
    """Say it all, and listen until the server closes; AssertionError where it does not."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    heard, word = bytearray(), asyncio.Event()
    listening = asyncio.create_task(_listen(reader, heard, word))
    try:
        with contextlib.suppress(ConnectionError):
            if script.upgrade:
                writer.write(script.upgrade)
                await asyncio.wait_for(word.wait(), _END)
            for piece in script.pieces:
                writer.write(piece)
                await asyncio.wait_for(writer.drain(), _END)
            await _finish(writer, script, word)
        done, _ = await asyncio.wait((listening,), timeout=_END)
        assert done, f"the server does not close: {len(heard)} bytes so far, {bytes(heard[-200:])!r}"
    except TimeoutError:
        raise AssertionError("the server neither answers, reads nor closes") from None
    finally:
        listening.cancel()
        writer.transport.abort()
    return bytes(heard)


async def _listen(reader: asyncio.StreamReader, heard: bytearray, word: asyncio.Event) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            heard += data
            word.set()
    word.set()


async def _finish(writer: asyncio.StreamWriter, script: Script, word: asyncio.Event) -> None:
    if script.ending == "answer" and not word.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(word.wait(), _END if script.whole else _PATIENCE)
    if writer.transport.is_closing():
        return
    with contextlib.suppress(OSError):  # it is closed, and nobody has told the transport yet
        if script.ending == "reset":
            connection = writer.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            writer.write_eof()
