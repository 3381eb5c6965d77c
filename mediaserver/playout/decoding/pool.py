"""Decoding in processes of our own."""

import asyncio
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import structlog

from mediaserver.errors import PromptError
from mediaserver.playout.decoding.decoder_process import ANSWER, REQUEST
from mediaserver.playout.decoding.formats import LONGEST
from mediaserver.playout.decoding.recipe import recipe
from mediaserver.playout.prompts.encoded_frames import BLOCK
from mediaserver.support.processes import DEAD, Child, NoProcessError, Pool

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

    With a `store`, a folder, and a `limit` in bytes, what was decoded before is found there. What is longer than
    `longest` seconds is not decoded.
    """

    def __init__(self, store: Path | None = None, limit: int = 0, longest: float = LONGEST) -> None:
        self.stored = {"hit": 0, "miss": 0, "failed": 0}  # files, by what became of them in the store
        self.decodes, self.decode_seconds = 0, 0.0  # files decoded, and how long that took
        self._place = [str(store), str(limit)] if store is not None else []
        self._decoders = Pool(
            "mediaserver.playout.decoding.decoder_process",
            lambda: (recipe(), f"{longest:g}", *self._place),
            os.cpu_count() or 1,
            idle=_IDLE,
        )
        self._turn = asyncio.Lock()
        self._trouble = ""

    async def decode(self, path: Path, taker: Callable[[], T], *, store: bool = True) -> tuple[Description, T]:
        """Decode one file into a taker; PromptError where it cannot be played, or where its decoder dies of it."""
        for _ in range(2):  # the first may have died of something else
            began = time.monotonic()
            try:
                async with self._decoders.child() as decoder:
                    answer, taken = await self._ask(decoder, path, taker, store)
            except NoProcessError as error:
                raise PromptError(f"cannot be decoded: {error}") from error
            except DEAD:
                continue
            self._count(answer, time.monotonic() - began)
            if "error" in answer:
                raise PromptError(answer["error"])
            return Description(*(answer[field] for field in Description._fields)), taken
        raise PromptError("cannot be decoded: the decoder died of it")

    async def _ask(
        self, decoder: Child, path: Path, taker: Callable[[], T], store: bool
    ) -> tuple[dict[str, Any], T]:
        """A decoder's answer, and the sound in a taker of its own."""
        name = os.fsencode(path)
        try:
            async with asyncio.timeout(_TIMEOUT):
                await decoder.send(REQUEST.pack(len(name), store) + name)
                size, left = ANSWER.unpack(await decoder.receive(ANSWER.size))
                answer, taken = json.loads(await decoder.receive(size)), taker()
                while left:
                    block = await decoder.receive(min(left, BLOCK))
                    async with self._turn:  # one at a time, however many there are: the loop has others to serve
                        await taken.take(block)
                    left -= len(block)
                return answer, taken
        except TimeoutError:
            raise PromptError(f"takes longer than {_TIMEOUT} s to decode") from None

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
        await self._decoders.rest()
