"""Decodes a sound file of any format to PCM (16-bit little-endian, 8 kHz, mono).

The code runs in worker processes, so it may take long, and uses no asyncio. It works block by block, so that the
memory it needs depends on the PCM that is kept, not on the rate, channels and length that a file claims to have.
Decoding stops, with an error, as soon as a file turns out to be longer than allowed.
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
from mediaserver.errors import PromptError, error_text
from mediaserver.playout.decoding import ffmpeg
from mediaserver.playout.decoding.formats import ALAW, FFMPEG, LINEAR, LONGEST, MULAW

_BLOCK = 1 << 20  # bytes of a file that are read at a time


@dataclass(frozen=True, slots=True)
class DecodedAudio:
    """A sound file's samples, its own format, and its level."""

    pcm: bytes  # 16-bit little-endian, 8 kHz, mono
    source: str  # a description of the file's own format, shown to users
    peak_dbfs: float
    loudness_lufs: float


def decode_file(path: Path, longest: float = LONGEST) -> DecodedAudio:
    """Decode a file of at most `longest` seconds, by its extension; PromptError tells why it cannot be played."""
    try:
        with path.open("rb") as file:
            return decode(path, file, longest)
    except OSError as error:
        raise PromptError(f"cannot be read: {error_text(error)}") from error


def decode(path: Path, file: BinaryIO, longest: float = LONGEST) -> DecodedAudio:
    """Like `decode_file`, for a file that is already open; only ffmpeg opens the file again, by its path."""
    try:
        pcm, source = _decode(path, file, longest)
    except OSError as error:
        raise PromptError(f"cannot be read: {error_text(error)}") from error
    if not pcm:
        raise PromptError("has no sound in it")
    samples = np.frombuffer(pcm, dtype="<i2")
    return DecodedAudio(pcm, source, levels.peak_dbfs(samples), levels.loudness_lufs(samples))


def too_long_error(longest: float) -> PromptError:
    """The error for a file of more than `longest` seconds."""
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
        blocks = _read_blocks(file, 0, size, SAMPLE_BYTES)
        return _join_pcm(blocks, size / SAMPLE_BYTES / SAMPLE_RATE, longest), "raw 8000 Hz 16-bit mono"
    if extension in MULAW | ALAW:
        law, expand = ("µ-law", g711.mulaw_decode) if extension in MULAW else ("A-law", g711.alaw_decode)
        blocks = (to_bytes(expand(block)) for block in _read_blocks(file, 0, size, 1))
        return _join_pcm(blocks, size / SAMPLE_RATE, longest), f"raw 8000 Hz {law} mono"
    try:
        header, start, size = wav.locate_data(_random_reader(file), size)
    except wav.UnsupportedCodecError:
        return _decode_by_ffmpeg(path, longest)
    seconds = size / header.block_align / header.rate
    parts = (_wav_part(header, block) for block in _read_blocks(file, start, size, header.block_align))
    if header.native or (
        header.codec in (wav.MULAW, wav.ALAW) and (header.rate, header.channels) == (SAMPLE_RATE, 1)
    ):
        return _join_pcm((to_bytes(part.samples()) for part in parts), seconds, longest), header.description
    resampled = _resample((part.signal() for part in parts), header.rate)
    return _join_pcm(resampled, seconds, longest), header.description


def _wav_part(header: wav.Wav, data: bytes) -> wav.Wav:
    """Make a `Wav` of `data`, a part of a WAV file's audio, with the format that the file's `header` tells."""
    return wav.Wav(header.codec, header.channels, header.rate, header.bits, data)


def _random_reader(file: BinaryIO) -> Callable[[int, int], bytes]:
    def read(at: int, count: int) -> bytes:
        file.seek(at)
        return file.read(count)

    return read


def _read_blocks(file: BinaryIO, start: int, size: int, align: int) -> Iterator[bytes]:
    """Read `size` bytes of a file from `start` on, in blocks of whole samples; one sample takes `align` bytes."""
    file.seek(start)
    most = max(1, _BLOCK // align) * align
    while size and (block := file.read(min(size, most))):
        size -= len(block)
        yield block[: len(block) - len(block) % align]
    if size:
        raise PromptError("became shorter while it was read")


def _join_pcm(blocks: Iterable[bytes], seconds: float, longest: float) -> bytes:
    """Join the blocks of a file's PCM; PromptError if they, or the expected `seconds`, exceed `longest`."""
    most, pcm = int(longest * SAMPLE_RATE) * SAMPLE_BYTES, bytearray()
    if seconds > longest:
        raise too_long_error(longest)
    for block in blocks:
        pcm += block
        if len(pcm) > most:
            raise too_long_error(longest)
    return bytes(pcm)


def _resample(signals: Iterable[NDArray[Any]], rate: int) -> Iterator[bytes]:
    """Resample signals (±1.0) from `rate` Hz to PCM at 8 kHz.

    soxr does this, and not pydub, because soxr's "VHQ" keeps aliases and images below -120 dB, while pydub
    resamples linearly.
    """
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
        raise too_long_error(longest)
    with ffmpeg.decoded_blocks(path, stream) as blocks:
        pcm = _join_pcm(_resample(blocks, stream.rate), 0, longest)
    return pcm, f"{path.suffix[1:].upper()} {stream.rate} Hz {channels}"
