"""RIFF WAVE files in memory: parses the uncompressed formats that telephony uses, and makes headers for 8 kHz PCM.

Sources: Microsoft's "Multimedia Programming Interface and Data Specifications 1.0" (RIFF), "New Multimedia
Data Types" (format codes) and KSDATAFORMAT_SUBTYPE for WAVE_FORMAT_EXTENSIBLE. The module takes bytes, not files.
"""

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio import g711
from mediaserver.audio.pcm import (
    FULL_SCALE,
    SAMPLE_BYTES,
    SAMPLE_RATE,
    Samples,
    Signal,
    describe_channels,
    from_bytes,
)
from mediaserver.errors import PromptError

PCM, FLOAT, ALAW, MULAW, EXTENSIBLE = 0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE
_NAMES = {FLOAT: "float", ALAW: "A-law", MULAW: "µ-law"}
HEADER_BYTES = 44  # bytes of the header of WAV files that this module makes
_UNKNOWN = 0xFFFFFFFF  # the value of a size field in the header of a WAV stream without end
MAX_DATA = _UNKNOWN - HEADER_BYTES
# Writers that cannot seek back (ffmpeg, SoX and others) leave a data size of this or more in the header;
# the data then ends where the file ends.
_STREAMED = 0x7FFF0000
_MAX_FORMAT_BYTES = 65_536  # the most bytes that are read of each chunk before the data chunk
_CHUNKS = (b"fmt ", b"data", b"fact", b"LIST", b"PEAK", b"bext", b"cue ", b"smpl", b"id3 ", b"ID3 ", b"JUNK")
_LOUDEST_FLOAT = 16.0  # highest float sample, relative to full scale (24 dB); larger values are taken for integers
_INTEGER_SCALES = (2.0**15, 2.0**31)


class UnsupportedCodecError(PromptError):
    """The WAV file is intact, but its format code is not one of the uncompressed formats.

    `samples` is the number of samples per channel in the file's `fact` chunk; None if there is no such chunk.
    """

    def __init__(self, message: str, samples: int | None = None) -> None:
        super().__init__(message)
        self.samples = samples


@dataclass(frozen=True, slots=True)
class Wav:
    """The format and the sample data of a WAV file."""

    codec: int
    channels: int
    rate: int  # sampling rate in Hz
    bits: int  # bits that one stored sample takes
    data: bytes
    big_endian: bool = False  # whether the samples are big-endian, as in RIFX files
    scale: float = 1.0  # the value in a float file that stands for full scale
    warnings: tuple[str, ...] = ()  # oddities of the file that do not prevent playing it

    @property
    def description(self) -> str:
        """The format as text, such as `WAV 44100 Hz 24-bit stereo`."""
        kind = f"{self.bits}-bit" if self.codec == PCM else f"{_NAMES[self.codec]} {self.bits}-bit"
        return f"WAV {self.rate} Hz {kind} {describe_channels(self.channels)}"

    @property
    def block_align(self) -> int:
        """Bytes of one sample of all channels (nBlockAlign)."""
        return self.channels * self.bits // 8

    @property
    def native(self) -> bool:
        """Whether the samples are 8 kHz mono, and become 16-bit PCM without loss: 16-bit PCM, or G.711."""
        kinds = ((PCM, 16), (MULAW, 8), (ALAW, 8))
        return (self.codec, self.bits) in kinds and (self.channels, self.rate) == (1, SAMPLE_RATE)

    def samples(self) -> Samples:
        """The samples of mono 16-bit or G.711 data, without loss; shape (n,)."""
        if self.codec == MULAW:
            return g711.mulaw_decode(self.data)
        if self.codec == ALAW:
            return g711.alaw_decode(self.data)
        return from_bytes(self.data) if not self.big_endian else self._integers().astype(np.int16)

    def signal(self) -> Signal:
        """The mean of all channels at the file's own rate; ±1.0 is full scale, shape (n,)."""
        values = self._values()
        mixed: Signal = values.reshape(-1, self.channels).mean(axis=1) if self.channels > 1 else values
        return mixed

    def floats(self) -> Signal:
        """The values of a float file as they are stored, of all channels; shape (n × channels,)."""
        order = ">" if self.big_endian else "<"
        with np.errstate(invalid="ignore"):  # numpy warns of values that are NaN
            return np.frombuffer(self.data, dtype=f"{order}f{self.bits // 8}").astype(np.float64)

    def _values(self) -> Signal:
        if self.codec in (MULAW, ALAW):
            return self.samples() / FULL_SCALE
        if self.codec == FLOAT:
            return np.nan_to_num(self.floats(), copy=False, nan=0.0, posinf=0.0, neginf=0.0) / self.scale
        if self.bits == 8:  # in WAV files, 8-bit samples are unsigned, and all wider samples are signed
            return (np.frombuffer(self.data, dtype=np.uint8).astype(np.float64) - 128) / 128
        integers = self._integers()
        return integers / 2.0 ** (8 * integers.itemsize - 1)  # 24-bit samples fill the high bits of 32

    def _integers(self) -> NDArray[Any]:
        order = ">" if self.big_endian else "<"
        if self.bits == 24:
            wide = np.zeros((len(self.data) // 3, 4), dtype=np.uint8)
            wide[:, slice(0, 3) if self.big_endian else slice(1, 4)] = np.frombuffer(
                self.data, dtype=np.uint8
            ).reshape(-1, 3)
            return wide.view(f"{order}i4")[:, 0]
        return np.frombuffer(self.data, dtype=f"{order}i{self.bits // 8}")


@dataclass(frozen=True, slots=True)
class DataChunk:
    """A WAV file's format in `wav`, without its data, which are the `size` bytes of the file from `start` on."""

    wav: Wav
    start: int
    size: int


def parse(content: bytes) -> Wav:
    """Parse the WAV file in `content`; bytes after the file's data are ignored.

    PromptError if the file cannot be played, UnsupportedCodecError if it is intact but compressed.
    """
    found = locate_data(lambda at, count: content[at : at + count], len(content))
    file = replace(found.wav, data=content[found.start : found.start + found.size])
    return with_scale(file, [file]) if file.codec == FLOAT else file


def with_scale(file: Wav, parts: Iterable[Wav]) -> Wav:
    """A float file's format with the scale of its values and with warnings. `parts` are the file's data in pieces.

    Some programs convert integers to floats without dividing them. Values far above ±1.0 are therefore taken for
    16-bit or 32-bit integers. PromptError if values exceed 32-bit integers.
    """
    peak, damaged = 0.0, False
    for part in parts:
        values = part.floats()
        damaged |= not np.isfinite(values).all()
        peak = max(
            peak, float(np.abs(values, where=np.isfinite(values), out=np.zeros_like(values)).max(initial=0))
        )
    warnings = [*file.warnings]
    if damaged:
        warnings.append("holds samples that are not numbers (NaN or infinite): silence is played in their place")
    if peak <= _LOUDEST_FLOAT:
        return replace(file, warnings=tuple(warnings))
    scale = next((scale for scale in _INTEGER_SCALES if peak <= scale), None)
    if scale is None:
        raise PromptError("is a damaged WAV file: its samples have values beyond any known scale")
    warnings.append(f"is a float file with values up to {peak:.0f}: they are taken for integers")
    return replace(file, scale=scale, warnings=tuple(warnings))


def locate_data(read: Callable[[int, int], bytes], length: int, begin: int = 0) -> DataChunk:
    """Find the format and the data of a WAV file that begins at byte `begin` of a file of `length` bytes.

    `read(offset, count)` returns bytes of the file. Errors are those of `parse`.
    """
    head = read(begin, 12)
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64", b"BW64") or head[8:12] != b"WAVE":
        raise PromptError("is not a WAV file: it does not begin with RIFF....WAVE")
    order: Literal["little", "big"] = "big" if head[:4] == b"RIFX" else "little"
    chunks: dict[bytes, bytes] = {}
    warnings: list[str] = []
    at = begin + 12
    while at + 8 <= length:
        chunk = read(at, 8)
        name, size = chunk[:4], int.from_bytes(chunk[4:], order)
        body = at + 8
        if name == b"data":
            if b"fmt " not in chunks:
                raise PromptError("is a damaged WAV file: its data comes before its format")
            if b"ds64" in chunks and size == 0xFFFFFFFF:  # EBU Tech 3306: the chunk ds64 holds the size
                size = int.from_bytes(chunks[b"ds64"][8:16], "little")
            file = _parse_format(chunks, order, warnings)
            size = _data_size(read, file, body, size, length - body, warnings)
            return DataChunk(replace(file, warnings=tuple(warnings)), body, size)
        chunks[name] = read(body, min(size, _MAX_FORMAT_BYTES))
        at = body + size + (size & 1)
        if size & 1 and read(at - 1, 4) in _CHUNKS and read(at, 4) not in _CHUNKS:
            at -= 1
            warnings.append(f"has no pad byte after its {name.decode('latin-1').strip()} chunk")
    raise PromptError("is a damaged WAV file: it ends before its data")


def _parse_format(chunks: dict[bytes, bytes], order: Literal["little", "big"], warnings: list[str]) -> Wav:
    format_chunk = chunks[b"fmt "]
    if len(format_chunk) < 16:
        raise PromptError("is a damaged WAV file: its format chunk is cut short")
    mark = ">" if order == "big" else "<"
    codec, channels, rate, _, align, bits = struct.unpack_from(f"{mark}HHIIHH", format_chunk)
    if codec == EXTENSIBLE and len(format_chunk) >= 26:
        codec = int.from_bytes(format_chunk[24:26], order)
    if codec not in (PCM, FLOAT, ALAW, MULAW):
        fact = chunks.get(b"fact", b"")
        samples = int.from_bytes(fact[:4], order) if len(fact) >= 4 else None
        raise UnsupportedCodecError(f"is a WAV file of codec 0x{codec:04x}", samples)
    width = _width(codec, channels, align, bits)
    if width is None or not 1000 <= rate <= 768_000:
        raise PromptError(
            f"is a damaged WAV file: {channels} channels of {bits} bits at {rate} Hz in blocks of {align} bytes"
        )
    if align != channels * width // 8:
        warnings.append(f"has blocks of {align} bytes by its header, and of {channels * width // 8} in fact")
    if bits != width:
        warnings.append(f"has samples of {bits} bits by its header, which take {width} bits each")
    return Wav(codec, channels, rate, width, b"", order == "big")


def _width(codec: int, channels: int, align: int, bits: int) -> int | None:
    """The number of bits that one sample takes in the file; None if the header's fields are impossible."""
    if not channels:
        return None
    if codec in (ALAW, MULAW):
        return 8
    rounded = -(-bits // 8) * 8
    if codec == PCM and rounded == 24 and 8 * align == 32 * channels:
        return 32  # 24-bit samples fill the high bits of 32, as measuring instruments write them
    return rounded if rounded in ((8, 16, 24, 32) if codec == PCM else (32, 64)) else None


def _data_size(
    read: Callable[[int, int], bytes], file: Wav, body: int, size: int, present: int, warnings: list[str]
) -> int:
    """The number of data bytes to play. The header promises `size` bytes, and the file has `present` bytes."""
    if not size and present >= file.block_align and read(body, 4) not in _CHUNKS:
        warnings.append(f"has {present} bytes of sound, though its header says 0: they are played")
        size = present
    if size > present:
        if size < _STREAMED:
            warnings.append(f"is cut short: its header promises {size} bytes of sound, {present} are there")
            size = present
        else:
            size = present - present % file.block_align
    if size % file.block_align:
        warnings.append("ends amid a sample, which is left out")
        size -= size % file.block_align
    return size


def header(channels: int, size: int | None, rate: int = SAMPLE_RATE, bits: int = 8 * SAMPLE_BYTES) -> bytes:
    """The 44-byte header of a WAV file with `size` bytes of PCM at `rate` Hz, in `channels` channels.

    `size` is None for a stream whose size is not known. The RIFF size and the data size are then 0xFFFFFFFF, as
    ffmpeg writes and reads them.
    """
    whole = min(size, MAX_DATA) if size is not None else _UNKNOWN
    block = bits // 8 * channels
    fmt = struct.pack("<HHIIHH", PCM, channels, rate, rate * block, block, bits)
    riff = min(HEADER_BYTES - 8 + whole, _UNKNOWN)
    return struct.pack("<4sI4s4sI16s4sI", b"RIFF", riff, b"WAVE", b"fmt ", 16, fmt, b"data", whole)
