"""Decodes a sound file of any format to PCM (16-bit little-endian, 8 kHz, mono).

The code runs in worker processes, so it may take long, and it uses no asyncio. Files are decoded block by block.
The memory needed therefore depends on the PCM that is kept, not on the rate, channels and length that a file's
header claims. Decoding stops with an error as soon as a file turns out to be longer than allowed.

A file's first bytes decide its format. The extension decides only if the first bytes match no known format.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from itertools import chain, groupby
from pathlib import Path
from typing import BinaryIO, Literal

import numpy as np

from mediaserver.audio import g711
from mediaserver.audio.containers import headerless, ogg, signatures, wav
from mediaserver.audio.containers.headerless import Coding
from mediaserver.audio.level import levels
from mediaserver.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE, describe_channels, to_bytes
from mediaserver.errors import PromptError, error_text
from mediaserver.playout.decoding import ffmpeg
from mediaserver.playout.decoding.conditioning import condition
from mediaserver.playout.decoding.formats import LONGEST, RAW, WAVE, RawFormat
from mediaserver.playout.decoding.options import Conditioning
from mediaserver.playout.decoding.resampling import Resample, resample

# Encoding of the samples in `.pcm` files: a value of the setting `prompts.pcm`.
PcmKind = Literal["auto", "linear", "mulaw"]

_BLOCK = 1 << 20  # number of bytes that are read from a file at a time
_LAWS = {"mulaw": ("µ-law", g711.mulaw_decode), "alaw": ("A-law", g711.alaw_decode)}
_CODINGS = {"linear": Coding.LITTLE_ENDIAN, "mulaw": Coding.MULAW, "alaw": Coding.ALAW}
_EMPTY = "is empty: nothing is heard where it is played"


@dataclass(frozen=True, slots=True)
class DecodedAudio:
    """A decoded sound file: its samples, the description of its format, its level, and warnings about it."""

    pcm: bytes  # the file's samples as PCM: 16-bit little-endian, 8 kHz, mono
    source: str  # a description of the file's own format, shown to users
    peak_dbfs: float
    loudness_lufs: float
    warnings: tuple[str, ...] = ()  # warnings, each to be shown after the file's name: "ends amid a sample"


@dataclass(slots=True)
class _Sound:
    """A file that is being decoded. `source` and `warnings` are complete once `blocks` was read to its end."""

    blocks: Iterator[bytes]  # the file's samples as PCM (16-bit little-endian, 8 kHz, mono)
    source: str  # a description of the file's own format, shown to users
    seconds: float = 0.0  # the duration in seconds that the file's header gives; 0 if it gives none
    warnings: list[str] = field(default_factory=list)


def decode_file(
    path: Path, longest: float = LONGEST, pcm: PcmKind = "auto", conditioning: Conditioning | None = None
) -> DecodedAudio:
    """Decode a file of at most `longest` seconds. Raises PromptError with the reason if it cannot be played."""
    try:
        with path.open("rb") as file:
            return decode(path, file, longest, pcm, conditioning)
    except OSError as error:
        raise PromptError(f"cannot be read: {error_text(error)}") from error


def decode(
    path: Path,
    file: BinaryIO,
    longest: float = LONGEST,
    pcm: PcmKind = "auto",
    conditioning: Conditioning | None = None,
    resample: Resample = resample,
) -> DecodedAudio:
    """Decode a sound file that is already open, of at most `longest` seconds; PromptError as in `decode_file`.

    A prompt is conditioned as `conditioning` says; None leaves the samples as they are. `resample` converts sound
    of other sampling rates to 8 kHz.
    """
    try:
        sound = _open(path, file, pcm, resample)
        decoded = _join(sound, longest)
    except OSError as error:
        raise PromptError(f"cannot be read: {error_text(error)}") from error
    if not decoded and not sound.warnings:
        sound.warnings.append(_EMPTY)
    samples = np.frombuffer(decoded, dtype="<i2")
    if conditioning is not None:
        conditioned = condition(samples, conditioning)
        samples = conditioned.samples
        sound.warnings += conditioned.warnings
    level = levels.peak_dbfs(samples), levels.loudness_lufs(samples)
    return DecodedAudio(to_bytes(samples), sound.source, *level, tuple(sound.warnings))


def too_long_error(longest: float) -> PromptError:
    """The error for a file of more than `longest` seconds."""
    return PromptError(f"is longer than {longest:g} s: cut it into parts, or raise prompts.longest")


def _open(path: Path, file: BinaryIO, pcm: PcmKind, resample: Resample) -> _Sound:
    """Find out a file's format from its first bytes and its extension, and begin to decode it."""
    extension = path.suffix.lower()
    head, size, raw = _head_at(file, 0), file.seek(0, 2), RAW.get(extension)
    if not size:
        if raw is None:
            raise PromptError("is empty")
        return _Sound(iter(()), _describe_raw(raw), warnings=[_EMPTY])
    tag = signatures.id3_bytes(head)
    kind = signatures.identify(_head_at(file, tag) if tag else head)
    if kind is not None and not kind.is_sound:
        raise PromptError(f"is {kind.name}, not sound")
    if kind == signatures.WAV:
        sound = _open_wav(file, size, resample, tag)
        if tag:
            sound.warnings.append("has an ID3 tag before its RIFF header")
    elif kind is None and raw is not None:
        return _open_raw(file, size, raw, resample, extension, pcm)
    elif kind is None and extension in WAVE:
        raise PromptError("is not a WAV file: it does not begin with RIFF....WAVE")
    else:
        samples = ogg.only_page_samples(_random_reader(file), tag)
        sound = _open_compressed(file, resample, samples=samples, path=path)
    if raw is not None or (extension in WAVE and kind != signatures.WAV):
        sound.warnings.insert(0, f"is {kind.name if kind else 'something else'}, whatever its name says")
    return sound


def _head_at(file: BinaryIO, at: int) -> bytes:
    file.seek(at)
    return file.read(signatures.HEAD_BYTES)


def _open_raw(
    file: BinaryIO, size: int, raw: RawFormat, resample: Resample, extension: str, pcm: PcmKind
) -> _Sound:
    warnings: list[str] = []
    if extension == ".pcm" and pcm != "linear":
        middle = _head_at(file, max(0, size - signatures.HEAD_BYTES) // 2 & ~1)
        mulaw = pcm == "mulaw" or g711.looks_like_mulaw(middle[: len(middle) & ~1])
        if mulaw and pcm == "auto":
            warnings.append(
                "is played as µ-law, as Asterisk writes it: its samples look like that (see prompts.pcm)"
            )
        raw = RawFormat("mulaw") if mulaw else raw
    if assumed := _CODINGS.get(raw.codec):
        file.seek(headerless.middle(size))
        warnings += filter(None, [headerless.misreading(file.read(headerless.SPAN), assumed)])
    if raw.codec == "linear":
        if size % SAMPLE_BYTES:
            warnings.append("ends amid a sample, which is left out")
        blocks = _read_blocks(file, 0, size - size % SAMPLE_BYTES, SAMPLE_BYTES)
        if raw.rate != SAMPLE_RATE:
            blocks = resample((np.frombuffer(block, "<i2") / 32768 for block in blocks), raw.rate)
        return _Sound(blocks, _describe_raw(raw), size / SAMPLE_BYTES / raw.rate, warnings)
    if raw.codec in _LAWS:
        expand = _LAWS[raw.codec][1]
        blocks = (to_bytes(expand(block)) for block in _read_blocks(file, 0, size, 1))
        return _Sound(blocks, _describe_raw(raw), size / SAMPLE_RATE, warnings)
    return _open_compressed(file, resample, raw)


def _describe_raw(raw: RawFormat) -> str:
    law = _LAWS[raw.codec][0] if raw.codec in _LAWS else "16-bit" if raw.codec == "linear" else raw.codec.upper()
    return f"raw {raw.rate} Hz {law} mono"


def _open_wav(file: BinaryIO, size: int, resample: Resample, begin: int) -> _Sound:
    """Open a WAV file, or several WAV files joined end to end in one file, as some TTS programs write them."""
    read = _random_reader(file)
    try:
        first = wav.locate_data(read, size, begin)
    except wav.UnsupportedCodecError as error:
        return _open_compressed(file, resample, samples=error.samples)
    parts = [first]
    while (at := _next_riff(read, parts[-1])) is not None:
        try:
            parts.append(wav.locate_data(read, size, at))
        except PromptError:
            break
    warnings = list(dict.fromkeys(chain.from_iterable(part.wav.warnings for part in parts)))
    if len(parts) > 1:
        warnings.append(f"is {len(parts)} WAV files joined end to end: all are played")
    seconds = sum(part.size / part.wav.block_align / part.wav.rate for part in parts)
    sound = _Sound(iter(()), first.wav.description, seconds, warnings)
    sound.blocks = chain.from_iterable(_wav_blocks(file, part, resample, warnings) for part in parts)
    return sound


def _next_riff(read: Callable[[int, int], bytes], part: wav.DataChunk) -> int | None:
    end = part.start + part.size
    for at in (end + (part.size & 1), end):
        head = read(at, 12)
        if head[:4] == b"RIFF" and head[8:] == b"WAVE":
            return at
    return None


def _wav_blocks(file: BinaryIO, part: wav.DataChunk, resample: Resample, warnings: list[str]) -> Iterator[bytes]:
    header = part.wav

    def pieces() -> Iterator[wav.Wav]:
        for block in _read_blocks(file, part.start, part.size, header.block_align):
            yield replace(header, data=block)

    if header.codec == wav.FLOAT:
        header = wav.with_scale(header, pieces())
        warnings += [warning for warning in header.warnings if warning not in warnings]
    if header.native:
        return (to_bytes(piece.samples()) for piece in pieces())
    return resample((piece.signal() for piece in pieces()), header.rate)


def _open_compressed(
    file: BinaryIO,
    resample: Resample,
    raw: RawFormat | None = None,
    samples: int | None = None,
    path: Path | None = None,
) -> _Sound:
    """Open a compressed file, to be decoded by FFmpeg's libraries.

    `samples` is the number of samples for each channel that the container gives, or None. If FFmpeg's libraries
    cannot decode the file, and a `path` is given, the system's program ffmpeg is tried, because it is often built
    with more codecs.
    """
    from mediaserver.playout.decoding import libav  # imported only when needed, because importing PyAV takes 0.1 s

    sound = _Sound(iter(()), "")

    def pcm() -> Iterator[bytes]:
        with libav.open_sound(file, raw, samples) as (opened, blocks):
            sound.seconds, sound.source = opened.seconds, opened.name
            for (rate, channels), same in groupby(blocks, key=lambda block: block[:2]):
                sound.source = opened.describe(rate, channels)
                yield from resample((signal for _, _, signal in same), rate)
        sound.warnings += opened.warnings

    blocks = pcm()
    try:
        first = next(blocks, b"")
    except PromptError:
        if path is None or not ffmpeg.is_installed():
            raise
        with contextlib.suppress(PromptError):
            return _open_by_ffmpeg(path, resample)
        raise
    sound.blocks = chain((first,), blocks)
    return sound


def _open_by_ffmpeg(path: Path, resample: Resample) -> _Sound:
    stream = ffmpeg.probe(path)

    def pcm() -> Iterator[bytes]:
        with ffmpeg.decoded_blocks(path, stream) as blocks:
            yield from resample(blocks, stream.rate)

    source = f"{path.suffix[1:].upper()} {stream.rate} Hz {describe_channels(stream.channels)}"
    return _Sound(pcm(), source, stream.seconds)


def _random_reader(file: BinaryIO) -> Callable[[int, int], bytes]:
    def read(at: int, count: int) -> bytes:
        file.seek(at)
        return file.read(count)

    return read


def _read_blocks(file: BinaryIO, start: int, size: int, align: int) -> Iterator[bytes]:
    """Yield `size` bytes of a file from offset `start` on, in blocks of whole samples of `align` bytes each."""
    file.seek(start)
    most = max(1, _BLOCK // align) * align
    while size and (block := file.read(min(size, most))):
        size -= len(block)
        yield block[: len(block) - len(block) % align]
    if size:
        raise PromptError("became shorter while it was read")


def _join(sound: _Sound, longest: float) -> bytearray:
    """Join a sound's blocks of PCM; PromptError if the blocks or the header's length exceed `longest` seconds."""
    most, pcm = int(longest * SAMPLE_RATE) * SAMPLE_BYTES, bytearray()
    if sound.seconds > longest:
        raise too_long_error(longest)
    for block in sound.blocks:
        pcm += block
        if len(pcm) > most:
            raise too_long_error(longest)
    return pcm
