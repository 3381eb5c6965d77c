"""Decoding in other processes: a thread that held the interpreter lock would be heard on every call.

Not the standard library's process pool: when a worker of it dies, its neighbours' work is lost with it, and
the pool may hang its own process at exit; and what it is answered it unpickles in one go.
"""

import asyncio
import contextlib
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any, NamedTuple, Protocol, TypeVar

import structlog

from mediaserver.errors import PromptError
from mediaserver.playout.decoder import ANSWER, REQUEST
from mediaserver.playout.items import BLOCK
from mediaserver.playout.recipe import recipe

# For a decoder's C library (glibc's): keep freed memory for the next file. To have the kernel clear new pages each
# time costs a quarter of it all, and a decoder does not live long.
_KEEP = str(1 << 28)  # bytes
ENVIRONMENT = {"MALLOC_TRIM_THRESHOLD_": _KEEP, "MALLOC_MMAP_THRESHOLD_": _KEEP}
# What the socket to a dead process raises.
_DEAD = (EOFError, OSError)
_TIMEOUT = 600  # seconds for one file: hours of sound take less

log = structlog.get_logger()


class Description(NamedTuple):
    """What a sound file is, for people."""

    source: str  # its own format
    peak_dbfs: float
    loudness_lufs: float


class Taker(Protocol):
    """Takes the PCM of a file (16-bit little-endian, 8 kHz, mono) as it comes, in blocks of whole frames."""

    async def take(self, pcm: bytes) -> None:
        """The next block."""


T = TypeVar("T", bound=Taker)


class DecodePool:
    """Decodes files in as many processes at once as there are cores. They start when first needed.

    With a `store`, a folder, and a `limit` in bytes, what was decoded before is found there.
    """

    def __init__(self, store: Path | None = None, limit: int = 0) -> None:
        self.stored = {"hit": 0, "miss": 0, "failed": 0}  # files, by what became of them in the store
        self.decodes, self.decode_seconds = 0, 0.0  # files decoded, and how long that took
        self._place = [str(store), str(limit)] if store is not None else []
        self._slots = asyncio.Semaphore(os.cpu_count() or 1)
        self._idle: list[_Decoder] = []
        self._turn = asyncio.Lock()
        self._trouble = ""

    async def decode(self, path: Path, taker: Callable[[], T], *, store: bool = True) -> tuple[Description, T]:
        """Decode one file into a taker; PromptError where it cannot be played, or where its decoder dies of it."""
        async with self._slots:
            decoder = self._rested() or self._start()
            with contextlib.suppress(*_DEAD):
                return await self._decode_in(decoder, path, taker, store)
            with contextlib.suppress(*_DEAD):  # that one may have died of something else
                return await self._decode_in(self._start(), path, taker, store)
        raise PromptError("cannot be decoded: the decoder died of it")

    def _rested(self) -> "_Decoder | None":
        """A decoder that is idle, and alive as far as is known."""
        while self._idle:
            decoder = self._idle.pop()
            if decoder.process.poll() is None:
                return decoder
            decoder.line.close()
        return None

    def _start(self) -> "_Decoder":
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        command = (sys.executable, "-m", "mediaserver.playout.decoder", recipe(), *self._place)
        with theirs:
            # Not by the loop: uvloop forks, and to copy what pages a server has takes it ten milliseconds.
            process = Popen(command, stdin=theirs.fileno(), stdout=DEVNULL, env=os.environ | ENVIRONMENT)  # noqa: S603
        return _Decoder(process, ours)

    async def _decode_in(
        self, decoder: "_Decoder", path: Path, taker: Callable[[], T], store: bool
    ) -> tuple[Description, T]:
        began = time.monotonic()
        try:
            async with asyncio.timeout(_TIMEOUT):
                answer, taken = await decoder.ask(path, taker, store, self._turn)
        except BaseException as error:
            decoder.process.kill()
            await decoder.end()
            if isinstance(error, TimeoutError):
                raise PromptError(f"takes longer than {_TIMEOUT} s to decode") from None
            raise
        self._idle.append(decoder)
        self._count(answer, time.monotonic() - began)
        if "error" in answer:
            raise PromptError(answer["error"])
        return Description(*(answer[field] for field in Description._fields)), taken

    def _count(self, answer: dict[str, Any], seconds: float) -> None:
        stored, trouble = answer.get("stored"), answer.get("trouble")
        if stored:
            self.stored[stored] += 1
        if stored != "hit":
            self.decodes += 1
            self.decode_seconds += seconds
        if trouble and trouble != self._trouble:  # once, not with every file
            log.warning("decoded prompts are not kept on disk", folder=self._place[0], why=trouble)
            self._trouble = trouble

    async def rest(self) -> None:
        """Let the decoders go; the next file starts a new one."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*(decoder.end() for decoder in idle))


class _Decoder:
    """One of the processes, and the socket to it."""

    def __init__(self, process: Popen[bytes], line: socket.socket) -> None:
        self.process, self.line = process, line

    async def ask(
        self, path: Path, taker: Callable[[], T], store: bool, turn: asyncio.Lock
    ) -> tuple[dict[str, Any], T]:
        """Its answer, the sound in a taker of its own; `turn` is for who gives a block to one."""
        name = os.fsencode(path)
        await asyncio.get_running_loop().sock_sendall(self.line, REQUEST.pack(len(name), store) + name)
        size, left = ANSWER.unpack(await self._receive(ANSWER.size))
        answer, taken = json.loads(await self._receive(size)), taker()
        while left:
            block = await self._receive(min(left, BLOCK))
            async with turn:  # one at a time, however many processes there are: the loop has others to serve
                await taken.take(block)
            left -= len(block)
        return answer, taken

    async def _receive(self, size: int) -> bytes:
        """Exactly so many bytes; EOFError where it is dead."""
        loop, data, have = asyncio.get_running_loop(), bytearray(size), 0
        view = memoryview(data)
        while have < size:
            received = await loop.sock_recv_into(self.line, view[have:])
            if not received:
                raise EOFError
            have += received
        return bytes(data)

    async def end(self) -> None:
        """It ends by itself when its input does."""
        self.line.close()
        await asyncio.to_thread(self.process.wait)
