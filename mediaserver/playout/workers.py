"""Decoding in other processes: a thread that held the interpreter lock would be heard on every call.

Not the standard library's process pool: when a worker of it dies, its neighbours' work is lost with it, and
the pool may hang its own process at exit.
"""

import asyncio
import contextlib
import os
import pickle
import sys
from asyncio.subprocess import PIPE, Process
from pathlib import Path

from mediaserver.errors import PromptError
from mediaserver.playout.decode import Decoded
from mediaserver.playout.decoder import LENGTH

_READ_AHEAD = 1 << 20
# What the pipes of a dead process raise; uvloop's, the last.
_DEAD = (asyncio.IncompleteReadError, OSError, RuntimeError)
_TIMEOUT = 600  # seconds for one file: hours of sound take less


class DecodePool:
    """Decodes files in as many processes at once as there are cores. They start when first needed."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(os.cpu_count() or 1)
        self._idle: list[Process] = []

    async def decode(self, path: Path) -> Decoded:
        """Decode one file; PromptError where it cannot be played, or where its decoder dies of it."""
        async with self._slots:
            decoder = self._rested() or await _start()
            with contextlib.suppress(*_DEAD):
                return await self._decode_in(decoder, path)
            with contextlib.suppress(*_DEAD):  # that one may have died of something else
                return await self._decode_in(await _start(), path)
        raise PromptError("cannot be decoded: the decoder died of it")

    def _rested(self) -> Process | None:
        """A decoder that is idle, and alive as far as is known."""
        while self._idle:
            decoder = self._idle.pop()
            if decoder.returncode is None:
                return decoder
        return None

    async def _decode_in(self, decoder: Process, path: Path) -> Decoded:
        try:
            async with asyncio.timeout(_TIMEOUT):
                answer = await _ask(decoder, path)
        except BaseException as error:
            with contextlib.suppress(ProcessLookupError):
                decoder.kill()
            await decoder.wait()
            if isinstance(error, TimeoutError):
                raise PromptError(f"takes longer than {_TIMEOUT} s to decode") from None
            raise
        self._idle.append(decoder)
        if isinstance(answer, PromptError):
            raise answer
        return answer

    async def rest(self) -> None:
        """Let the decoders go; the next file starts a new one."""
        idle, self._idle = self._idle, []
        await asyncio.gather(*map(_end, idle))


async def _start() -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "mediaserver.playout.decoder"), stdin=PIPE, stdout=PIPE, limit=_READ_AHEAD
    )


async def _ask(decoder: Process, path: Path) -> Decoded | PromptError:
    assert decoder.stdin is not None  # noqa: S101 - both are pipes
    assert decoder.stdout is not None  # noqa: S101
    request = pickle.dumps(path)
    decoder.stdin.write(LENGTH.pack(len(request)) + request)
    await decoder.stdin.drain()
    (size,) = LENGTH.unpack(await decoder.stdout.readexactly(LENGTH.size))
    answer: Decoded | PromptError = pickle.loads(await decoder.stdout.readexactly(size))  # noqa: S301 - our own child's
    return answer


async def _end(decoder: Process) -> None:
    """It ends by itself when its input does."""
    assert decoder.stdin is not None  # noqa: S101 - a pipe
    decoder.stdin.close()
    await decoder.wait()
