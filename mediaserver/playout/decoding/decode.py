"""A sound file of any kind to 8 kHz mono PCM. Runs in worker processes: it may be slow, and knows no asyncio.

It works block by block: memory is bounded by what is kept, 16 bits a sample, whatever rate, channels and length a
file claims to have. What would become longer than is asked for is not decoded.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import soxr
from numpy.typing import NDArray

from mediaserver.audio import g711, levels, wav
from mediaserver.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE, quantize, to_bytes
from mediaserver.errors import PromptError, plainly
from mediaserver.playout.decoding import ffmpeg
from mediaserver.playout.decoding.formats import ALAW, FFMPEG, LINEAR, LONGEST, MULAW

_BLOCK = 1 << 20  # bytes of a file


@dataclass(frozen=True, slots=True)
class Decoded:
    """A sound file's samples in the house format, and what it was."""

    pcm: bytes  # 16-bit little-endian, 8 kHz, mono
    source: str  # the file's own format, for people
    peak_dbfs: float
    loudness_lufs: float


def decode_file(path: Path, longest: float = LONGEST) -> Decoded:
    """Decode the file at `path` by its extension; PromptError says why it cannot be played."""
    try:
        with path.open("rb") as file:
            return decode(path, file, longest)
    except OSError as error:
        raise PromptError(f"cannot be read: {plainly(error)}") from error


def decode(path: Path, file: BinaryIO, longest: float = LONGEST) -> Decoded:
    """The same of a file that is open; ffmpeg opens it again. `longest` in seconds."""
    try:
        pcm, source = _decode(path, file, longest)
    except OSError as error:
        raise PromptError(f"cannot be read: {plainly(error)}") from error
    if not pcm:
        raise PromptError("has no sound in it")
    samples = np.frombuffer(pcm, dtype="<i2")
    return Decoded(pcm, source, levels.peak_dbfs(samples), levels.loudness_lufs(samples))


def too_long(longest: float) -> PromptError:
    """That a file's sound is longer than it may be."""
    return PromptError(f"is longer than {longest:g} s: cut it into parts, or raise prompts.longest")


def _decode(path: Path, file: BinaryIO, longest: float) -> tuple[bytes, str]:
    extension, size = path.suffix.lower(), file.seek(0, 2)
    if not size:
        raise PromptError("is empty")
    if extension in FFMPEG:
        return _decode_by_ffmpeg(path, longest)
    if extension in LINEAR:
        if size % SAMPLE_BYTES:
            raise PromptError(f"is not 16-bit PCM: {size} bytes are not a whole number of samples")
        whole = _blocks(file, 0, size, SAMPLE_BYTES)
        return _collected(whole, size / SAMPLE_BYTES / SAMPLE_RATE, longest), "raw 8000 Hz 16-bit mono"
    if extension in MULAW | ALAW:
        law, expand = ("µ-law", g711.mulaw_decode) if extension in MULAW else ("A-law", g711.alaw_decode)
        whole = (to_bytes(expand(block)) for block in _blocks(file, 0, size, 1))
        return _collected(whole, size / SAMPLE_RATE, longest), f"raw 8000 Hz {law} mono"
    try:
        found, start, size = wav.locate_data(_reader(file), size)
    except wav.UnsupportedCodecError:
        return _decode_by_ffmpeg(path, longest)
    seconds = size / found.block_align / found.rate
    parts = (_part_of(found, block) for block in _blocks(file, start, size, found.block_align))
    if found.native or (found.codec in (wav.MULAW, wav.ALAW) and (found.rate, found.channels) == (SAMPLE_RATE, 1)):
        return _collected((to_bytes(part.samples()) for part in parts), seconds, longest), found.description
    resampled = _resampled((part.signal() for part in parts), found.rate)
    return _collected(resampled, seconds, longest), found.description


def _part_of(file: wav.Wav, data: bytes) -> wav.Wav:
    """A part of a WAV file's sound."""
    return wav.Wav(file.codec, file.channels, file.rate, file.bits, data)


def _reader(file: BinaryIO) -> Callable[[int, int], bytes]:
    def read(at: int, count: int) -> bytes:
        file.seek(at)
        return file.read(count)

    return read


def _blocks(file: BinaryIO, start: int, size: int, align: int) -> Iterator[bytes]:
    """So many bytes of a file in blocks of whole samples."""
    file.seek(start)
    most = max(1, _BLOCK // align) * align
    while size and (block := file.read(min(size, most))):
        size -= len(block)
        yield block[: len(block) - len(block) % align]
    if size:
        raise PromptError("became shorter while it was read")


def _collected(blocks: Iterable[bytes], seconds: float, longest: float) -> bytes:
    """All PCM; PromptError where that is longer than it may be, at once where `seconds` tell."""
    most, pcm = int(longest * SAMPLE_RATE) * SAMPLE_BYTES, bytearray()
    if seconds > longest:
        raise too_long(longest)
    for block in blocks:
        pcm += block
        if len(pcm) > most:
            raise too_long(longest)
    return bytes(pcm)


def _resampled(signals: Iterable[NDArray[Any]], rate: int) -> Iterator[bytes]:
    """PCM at 8 kHz. "VHQ" keeps aliases and images below -120 dB; pydub's own resampling is linear."""
    if rate == SAMPLE_RATE:
        yield from (to_bytes(quantize(signal)) for signal in signals)
        return
    stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float64", quality="VHQ")
    for signal in signals:
        yield to_bytes(quantize(stream.resample_chunk(signal.astype(np.float64, copy=False))))
    yield to_bytes(quantize(stream.resample_chunk(np.zeros(0), last=True)))


def _decode_by_ffmpeg(path: Path, longest: float) -> tuple[bytes, str]:
    ffmpeg.require_ffmpeg()
    stream = ffmpeg.probe(path)
    channels = {1: "mono", 2: "stereo"}.get(stream.channels, f"{stream.channels} channels")
    if stream.seconds > longest:
        raise too_long(longest)
    with ffmpeg.opened(path, stream) as blocks:
        pcm = _collected(_resampled(blocks, stream.rate), 0, longest)
    return pcm, f"{path.suffix[1:].upper()} {stream.rate} Hz {channels}"
