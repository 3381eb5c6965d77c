"""Decoding in other processes: a thread that held the interpreter lock would be heard on every call.

Not the standard library's process pool: when a worker of it dies, its neighbours' work is lost with it, and
the pool may hang its own process at exit; and what it is answered it unpickles in one go.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import DEVNULL, Popen
from typing import Any, NamedTuple, Protocol, TypeVar

import structlog

import mediaserver
from mediaserver.errors import PromptError, plainly
from mediaserver.playout.decoder import ANSWER, REQUEST
from mediaserver.playout.items import BLOCK
from mediaserver.playout.recipe import recipe

# For a decoder's C library (glibc's): keep freed memory for the next file. To have the kernel clear new pages each
# time costs a quarter of it all, and a decoder does not live long. In bytes; it takes no more for the second.
ENVIRONMENT = {"MALLOC_TRIM_THRESHOLD_": str(1 << 28), "MALLOC_MMAP_THRESHOLD_": str(1 << 25)}
# What the socket to a dead process raises.
_DEAD = (EOFError, OSError)
_TIMEOUT = 600  # seconds for one file: hours of sound take less
_IDLE = 3.0  # seconds after which decoders that nobody needs are let go

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
    """Decodes files in as many processes at once as there are cores. They start when needed, and end soon after.

    With a `store`, a folder, and a `limit` in bytes, what was decoded before is found there.
    """

    def __init__(self, store: Path | None = None, limit: int = 0) -> None:
        self.stored = {"hit": 0, "miss": 0, "failed": 0}  # files, by what became of them in the store
        self.decodes, self.decode_seconds = 0, 0.0  # files decoded, and how long that took
        self._place = [str(store), str(limit)] if store is not None else []
        self._slots = asyncio.Semaphore(os.cpu_count() or 1)
        self._idle: list[_Decoder] = []
        self._asked = 0  # files that are being decoded, or wait for a decoder
        self._letting_go: asyncio.TimerHandle | None = None
        self._resting: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._trouble = ""

    async def decode(self, path: Path, taker: Callable[[], T], *, store: bool = True) -> tuple[Description, T]:
        """Decode one file into a taker; PromptError where it cannot be played, or where its decoder dies of it."""
        with self._needed():
            async with self._slots:
                decoder = self._rested() or self._start()
                with contextlib.suppress(*_DEAD):
                    return await self._decode_in(decoder, path, taker, store)
                decoder = self._start()  # that one may have died of something else
                with contextlib.suppress(*_DEAD):
                    return await self._decode_in(decoder, path, taker, store)
        raise PromptError("cannot be decoded: the decoder died of it")

    @contextlib.contextmanager
    def _needed(self) -> Iterator[None]:
        """Decoders stay while somebody needs one, and for a while after the last."""
        self._stay()
        self._asked += 1
        try:
            yield
        finally:
            self._asked -= 1
            if not self._asked:
                self._letting_go = asyncio.get_running_loop().call_later(_IDLE, self._let_go)

    def _stay(self) -> None:
        if self._letting_go is not None:
            self._letting_go.cancel()

    def _let_go(self) -> None:
        self._resting = asyncio.get_running_loop().create_task(self.rest())

    def _rested(self) -> "_Decoder | None":
        """A decoder that is idle, and alive as far as is known."""
        while self._idle:
            decoder = self._idle.pop()
            if decoder.process.poll() is None:
                return decoder
            decoder.line.close()
        return None

    def _start(self) -> "_Decoder":
        try:
            return _started((recipe(), *self._place))
        except OSError as error:  # too many files or processes, or no memory
            raise PromptError(f"cannot be decoded: no decoder can be started: {plainly(error)}") from error

    async def _decode_in(
        self, decoder: "_Decoder", path: Path, taker: Callable[[], T], store: bool
    ) -> tuple[Description, T]:
        began = time.monotonic()
        try:
            async with asyncio.timeout(_TIMEOUT):
                answer, taken = await decoder.ask(path, taker, store, self._turn)
        except BaseException as error:
            decoder.kill()
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
        self._stay()
        idle, self._idle = self._idle, []
        await asyncio.gather(*(decoder.end() for decoder in idle))


def _started(arguments: tuple[str, ...]) -> "_Decoder":
    """A new decoder; OSError where the system has none to give."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    # -P: whatever lies in the working directory is no module of ours.
    command = (sys.executable, "-P", "-m", "mediaserver.playout.decoder", *arguments)
    try:
        with theirs:
            # Not by the loop: uvloop forks, and to copy what pages a server has takes it ten milliseconds.
            process = Popen(  # noqa: S603
                command,
                stdin=theirs.fileno(),
                stdout=DEVNULL,
                env=_environment(),
                process_group=0,  # its own, so that an ffmpeg of its can be killed with it
            )
    except OSError:
        ours.close()
        raise
    return _Decoder(process, ours)


def _environment() -> dict[str, str]:
    """A decoder's: it imports the same package as we do, be that installed or, in development, found elsewhere."""
    folder, path = str(Path(mediaserver.__file__).parents[1]), os.environ.get("PYTHONPATH")
    if folder == sysconfig.get_path("purelib"):  # else it would come before Python's own
        return os.environ | ENVIRONMENT
    return os.environ | ENVIRONMENT | {"PYTHONPATH": f"{folder}{os.pathsep}{path}" if path else folder}


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

    def kill(self) -> None:
        """With all that it has started; `end` is to follow."""
        os.killpg(
            self.process.pid, signal.SIGKILL
        )  # not waited for yet, so that the group is there even if it died

    async def end(self) -> None:
        """It ends by itself when its input does."""
        self.line.close()
        await asyncio.to_thread(self.process.wait)
