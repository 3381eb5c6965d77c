"""A prompt folder for tests: files put into it, a library that decodes them in this process, and its refreshes."""

import asyncio
import itertools
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from mediaserver.audio.pcm import Samples, to_bytes
from mediaserver.config.settings import PromptSettings
from mediaserver.errors import PromptError
from mediaserver.playout.decoding.decode import decode_file
from mediaserver.playout.decoding.measuring import measure
from mediaserver.playout.decoding.options import Conditioning
from mediaserver.playout.decoding.pool import AudioInfo, DecodePool
from mediaserver.playout.prompts.encoded_frames import PCM_BLOCK_BYTES, EncodedFrames
from mediaserver.playout.prompts.library import PromptLibrary, ReloadResult
from mediaserver.playout.prompts.watch import watch_prompts
from mediaserver.wire.encapsulation import PCM, Encoding
from tests.sound import speechlike, write_wav

OLD, NEW = speechlike(1600, 1), speechlike(2400, 2)
_ages = itertools.count(1)


class InlinePool(DecodePool):
    """Decodes in this process and at once, because another process would take real time."""

    def __init__(self) -> None:
        super().__init__()
        self.measured: list[str] = []

    async def decode(self, path: Path, new_sink, *, store: bool = True, longest: int = 0):
        self.decodes += 1
        decoded, sink = decode_file(path), new_sink()
        for at in range(0, len(decoded.pcm), PCM_BLOCK_BYTES):
            await sink.feed_pcm(decoded.pcm[at : at + PCM_BLOCK_BYTES])
        return AudioInfo(decoded.source, decoded.peak_dbfs, decoded.loudness_lufs), sink

    async def measure(self, path: Path):
        self.measured.append(path.name)
        try:
            with path.open("rb") as file:
                return measure(path, file, 60.0, "auto", Conditioning())._asdict()
        except OSError as error:
            raise PromptError("cannot be read") from error


class TimedPool(InlinePool):
    """Takes as many milliseconds to decode a file as its name says."""

    async def decode(self, path: Path, new_sink, *, store: bool = True, longest: int = 0):
        await asyncio.sleep(int(path.stem) / 1000)
        return await super().decode(path, new_sink, store=store)


def put(path: Path, samples: Samples) -> Path:
    """Write a sound file with a modification time of its own, however soon it follows the one before."""
    write_wav(path, samples)
    os.utime(path, (0, next(_ages)))
    return path


def encoded(samples: Samples, encoding: Encoding = PCM) -> EncodedFrames:
    """The frames of samples in an encoding."""
    return EncodedFrames(tuple(encoding.packetize(to_bytes(samples))), len(samples))


def played_by_new_call(library: PromptLibrary, name: str, encoding: Encoding = PCM) -> EncodedFrames:
    """The frames that a new call plays, which must be there at once."""
    frames = library.snapshot.get(name).get_frames(encoding)
    assert isinstance(frames, EncodedFrames)
    return EncodedFrames(tuple(frames.frames), frames.samples)


async def loaded(directory: Path, limit: int = 1_000_000, encodings: Sequence[Encoding] = (PCM,)) -> PromptLibrary:
    library = PromptLibrary(directory, limit, InlinePool())
    await library.load(encodings)
    return library


async def refreshed(library: PromptLibrary, encodings: Sequence[Encoding] = (PCM,)) -> ReloadResult | None:
    """The result of the second of two refreshes, as far apart as changes need to settle."""
    assert await library.refresh(encodings, settle=1.0) is None
    await asyncio.sleep(1.0)
    return await library.refresh(encodings, settle=1.0)


@asynccontextmanager
async def watching(library: PromptLibrary, **settings: object) -> AsyncIterator[list[tuple[float, ReloadResult]]]:
    """Watch a library; the results of its reloads, each with its time."""
    reloads: list[tuple[float, ReloadResult]] = []
    clock = asyncio.get_running_loop().time
    how = PromptSettings.model_validate(settings)
    task = asyncio.create_task(
        watch_prompts(library, lambda: (PCM,), how, lambda new: reloads.append((clock(), new)))
    )
    await asyncio.sleep(0)
    yield reloads
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert task.cancelled()
