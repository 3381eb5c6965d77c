"""The server's side of decoding: sends sound files to a pool of decoder processes, and takes their PCM."""

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeVar

import structlog

from mediaserver.errors import PromptError
from mediaserver.playout.decoding.decoder_process import ANSWER, REQUEST, Purpose
from mediaserver.playout.decoding.fingerprint import decoder_fingerprint
from mediaserver.playout.decoding.formats import LONGEST
from mediaserver.playout.decoding.options import Conditioning
from mediaserver.playout.prompts.encoded_frames import PCM_BLOCK_BYTES
from mediaserver.support.processes.child import DEAD, ChildProcess, NoProcessError
from mediaserver.support.processes.pool import ProcessPool

_TIMEOUT = 600  # seconds that decoding one file may take: even hours of sound take less
_DEFAULT_CONDITIONING = Conditioning()
_IDLE = 3.0  # seconds without a file to decode after which all decoder processes are ended

log = structlog.get_logger()


class AudioInfo(NamedTuple):
    """The format, the level and the warnings of a sound file: shown to users, not used for playing the file."""

    source: str  # the file's own format, such as "WAV 44100 Hz 16-bit stereo"
    peak_dbfs: float
    loudness_lufs: float
    warnings: tuple[str, ...] = ()  # warnings, each to be shown after the file's name: "ends amid a sample"


class PcmSink(Protocol):
    """Receives the PCM of a file (16-bit little-endian, 8 kHz, mono), in blocks of whole frames of 20 ms."""

    async def feed_pcm(self, pcm: bytes) -> None:
        """Receive the file's next block of PCM."""


class _NoPcm:
    """A sink for requests whose answers have no PCM."""

    async def feed_pcm(self, pcm: bytes) -> None:
        raise RuntimeError("a decoder has sent PCM for a request without PCM")


T = TypeVar("T", bound=PcmSink)


class DecodePool:
    """Decodes sound files in at most one process per core. Processes start when needed, and end when idle.

    Decoded files are cached on disk in the folder `store`, in at most `limit` bytes; None for no cache. Files of
    more than `longest` seconds are not decoded. `pcm` is the encoding of `.pcm` files: "linear", "mulaw", or
    "auto" to judge each file by its samples. `conditioning` says what is done to prompts after decoding.
    """

    def __init__(
        self,
        store: Path | None = None,
        limit: int = 0,
        longest: float = LONGEST,
        pcm: str = "auto",
        conditioning: Conditioning = _DEFAULT_CONDITIONING,
    ) -> None:
        self.stored = {"hit": 0, "miss": 0, "failed": 0}  # numbers of files by the result of the cache's look-up
        self.decodes, self.decode_seconds = 0, 0.0  # number of files decoded so far, and the seconds this took
        self._store_arguments = [str(store), str(limit)] if store is not None else []
        how = conditioning.dump()
        self._decoders = ProcessPool(
            "mediaserver.playout.decoding.decoder_process",
            lambda: (
                f"{decoder_fingerprint()}; pcm {pcm}; conditioning {how}",
                *(f"{longest:g}", pcm, how),
                *self._store_arguments,
            ),
            os.cpu_count() or 1,
            idle=_IDLE,
        )
        self._feeding = asyncio.Lock()
        self._logged_problem = ""

    async def decode(
        self, path: Path, new_sink: Callable[[], T], *, store: bool = True, longest: int = 0
    ) -> tuple[AudioInfo, T]:
        """Decode a file into a sink that `new_sink` makes; return the file's description and the sink.

        PromptError if the file cannot be played, or if decoder processes die in two attempts to decode it. If
        `store` is False, the file is no prompt: it is decoded as it is, and nothing is cached on disk. For such a
        file, `longest` may set a limit in seconds that is lower than the pool's.
        """
        purpose = Purpose.PROMPT if store else Purpose.SOUND
        answer, sink = await self._ask(path, new_sink, purpose, longest)
        info = AudioInfo(*(answer[field] for field in AudioInfo._fields))
        return info._replace(warnings=tuple(info.warnings)), sink

    async def measure(self, path: Path) -> dict[str, Any]:
        """Decode a prompt's file and measure it; return the values of a `Measurement` by the names of its fields.

        PromptError as in `decode`. The cache on disk is neither read nor written.
        """
        answer, _ = await self._ask(path, _NoPcm, Purpose.MEASUREMENT)
        return answer

    async def _ask(
        self, path: Path, new_sink: Callable[[], T], purpose: Purpose, longest: int = 0
    ) -> tuple[dict[str, Any], T]:
        """Have a decoder process answer a request, and return its answer, and a sink that has got all the PCM."""
        killed_by = 0
        for _ in range(2):  # two attempts, because a decoder may die for another reason than the file
            decoder, began = None, time.monotonic()
            try:
                async with self._decoders.acquire() as decoder:
                    answer, sink = await self._request(decoder, path, new_sink, purpose, longest)
            except NoProcessError as error:
                raise PromptError(f"cannot be decoded: {error}") from error
            except DEAD:
                killed_by = decoder.killed_by if decoder is not None else 0
                continue
            self._count(answer, time.monotonic() - began)
            if "error" in answer:
                raise PromptError(answer["error"])
            return answer, sink
        raise PromptError(f"cannot be decoded: {_why_dead(killed_by)}")

    async def _request(
        self, decoder: ChildProcess, path: Path, new_sink: Callable[[], T], purpose: Purpose, longest: int
    ) -> tuple[dict[str, Any], T]:
        """Ask a decoder process to decode a file; return its answer, and a new sink that has got all the PCM."""
        name = os.fsencode(path)
        try:
            async with asyncio.timeout(_TIMEOUT):
                await decoder.send(REQUEST.pack(len(name), purpose, longest) + name)
                size, left = ANSWER.unpack(await decoder.receive(ANSWER.size))
                answer, sink = json.loads(await decoder.receive(size)), new_sink()
                while left:
                    block = await decoder.receive(min(left, PCM_BLOCK_BYTES))
                    async with self._feeding:  # feed one sink at a time, so that streams get turns of the loop
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
        if problem and problem != self._logged_problem:  # log a problem once, not for each file
            log.warning("prompt cache write failed", folder=self._store_arguments[0], why=problem)
            self._logged_problem = problem

    async def release_decoders(self) -> None:
        """End the idle decoder processes; the next file to decode starts a new process."""
        await self._decoders.stop_idle()


def _why_dead(killed_by: int) -> str:
    """Why a decoder died, by the number of the signal that ended it: SIGKILL mostly means that memory ran out."""
    if killed_by != signal.SIGKILL:
        return "the decoder crashed on it"
    return (
        "its decoder was killed, most likely because the memory was used up: "
        "convert it to WAV, 8000 Hz, 16-bit, mono, or give the server more memory"
    )
