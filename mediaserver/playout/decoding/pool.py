"""The pool of decoder processes, as the serving process sees it."""

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
from mediaserver.playout.decoding.fingerprint import decoder_fingerprint
from mediaserver.playout.decoding.formats import LONGEST
from mediaserver.playout.prompts.encoded_frames import PCM_BLOCK_BYTES
from mediaserver.support.processes.child import DEAD, ChildProcess, NoProcessError
from mediaserver.support.processes.pool import ProcessPool

_TIMEOUT = 600  # seconds for one file: hours of sound take less
_IDLE = 3.0  # seconds after which idle decoders are ended

log = structlog.get_logger()


class AudioInfo(NamedTuple):
    """The format and the level of a sound file: shown to users, not used for playing the file."""

    source: str  # the file's own format, such as "WAV 44100 Hz 16-bit stereo"
    peak_dbfs: float
    loudness_lufs: float


class PcmSink(Protocol):
    """Takes the PCM of a file (16-bit little-endian, 8 kHz, mono) as it is decoded, in blocks of whole frames."""

    async def feed_pcm(self, pcm: bytes) -> None:
        """Take the next block of PCM."""


T = TypeVar("T", bound=PcmSink)


class DecodePool:
    """Decodes files in as many processes at once as there are cores; they start when needed, and end when idle.

    With a `store`, a folder for at most `limit` bytes, decoded files are cached on disk. Files of more than
    `longest` seconds are not decoded.
    """

    def __init__(self, store: Path | None = None, limit: int = 0, longest: float = LONGEST) -> None:
        self.stored = {"hit": 0, "miss": 0, "failed": 0}  # how many files had each outcome in the cache on disk
        self.decodes, self.decode_seconds = 0, 0.0  # files decoded, and how long that took
        self._store_arguments = [str(store), str(limit)] if store is not None else []
        self._decoders = ProcessPool(
            "mediaserver.playout.decoding.decoder_process",
            lambda: (decoder_fingerprint(), f"{longest:g}", *self._store_arguments),
            os.cpu_count() or 1,
            idle=_IDLE,
        )
        self._feeding = asyncio.Lock()
        self._logged_problem = ""

    async def decode(self, path: Path, new_sink: Callable[[], T], *, store: bool = True) -> tuple[AudioInfo, T]:
        """Decode one file into a new sink; PromptError where it cannot be played, or where it kills its decoder.

        Without `store`, nothing is cached on disk.
        """
        for _ in range(2):  # two attempts, because the first decoder may have died of something else than the file
            began = time.monotonic()
            try:
                async with self._decoders.acquire() as decoder:
                    answer, sink = await self._request(decoder, path, new_sink, store)
            except NoProcessError as error:
                raise PromptError(f"cannot be decoded: {error}") from error
            except DEAD:
                continue
            self._count(answer, time.monotonic() - began)
            if "error" in answer:
                raise PromptError(answer["error"])
            return AudioInfo(*(answer[field] for field in AudioInfo._fields)), sink
        raise PromptError("cannot be decoded: the decoder died of it")

    async def _request(
        self, decoder: ChildProcess, path: Path, new_sink: Callable[[], T], store: bool
    ) -> tuple[dict[str, Any], T]:
        """Send a request; return the decoder's answer, and a new sink that was fed the PCM."""
        name = os.fsencode(path)
        try:
            async with asyncio.timeout(_TIMEOUT):
                await decoder.send(REQUEST.pack(len(name), store) + name)
                size, left = ANSWER.unpack(await decoder.receive(ANSWER.size))
                answer, sink = json.loads(await decoder.receive(size)), new_sink()
                while left:
                    block = await decoder.receive(min(left, PCM_BLOCK_BYTES))
                    async with self._feeding:  # one sink at a time, so that streams get their turns of the loop
                        await sink.feed_pcm(block)
                    left -= len(block)
                return answer, sink
        except TimeoutError:
            raise PromptError(f"takes longer than {_TIMEOUT} s to decode") from None

    def _count(self, answer: dict[str, Any], seconds: float) -> None:
        stored, problem = answer.get("stored"), answer.get("problem")
        if stored:
            self.stored[stored] += 1
        if stored != "hit":
            self.decodes += 1
            self.decode_seconds += seconds
        if problem and problem != self._logged_problem:  # a problem is logged once, not with every file
            log.warning("decoded prompts are not kept on disk", folder=self._store_arguments[0], why=problem)
            self._logged_problem = problem

    async def release_decoders(self) -> None:
        """End the decoder processes; the next file starts a new one."""
        await self._decoders.stop_idle()
