"""RIFF WAVE files in memory: parsing of the uncompressed formats that telephony uses, and the header we write.

Sources: Microsoft's "Multimedia Programming Interface and Data Specifications 1.0" (RIFF), "New Multimedia
Data Types" (format codes) and KSDATAFORMAT_SUBTYPE for WAVE_FORMAT_EXTENSIBLE. The module takes bytes, not files.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mediaserver.audio import g711
from mediaserver.audio.pcm import FULL_SCALE, SAMPLE_BYTES, SAMPLE_RATE, Samples, Signal, from_bytes
from mediaserver.errors import PromptError

PCM, FLOAT, ALAW, MULAW, EXTENSIBLE = 0x0001, 0x0003, 0x0006, 0x0007, 0xFFFE
_NAMES = {FLOAT: "float", ALAW: "A-law", MULAW: "µ-law"}
HEADER_BYTES = 44  # size of the header of the files that we write
MAX_DATA = 0xFFFFFFFF - HEADER_BYTES
# Writers that cannot seek back (ffmpeg, SoX and others) leave a data size of this or more in the header;
# the data then ends where the file ends.
_STREAMED = 0x7FFF0000
_MAX_FORMAT_BYTES = 65_536  # of a longer format chunk, only so many bytes are read
_FLOAT_LIMIT = 1e6  # times full scale; a file with a larger value is rejected, because it is not audio


class UnsupportedCodecError(PromptError):
    """The WAV file is intact, but its format code is not one of the uncompressed formats."""


@dataclass(frozen=True, slots=True)
class Wav:
    """The format and the sample data of a WAV file."""

    codec: int
    channels: int
    rate: int  # Hz
    bits: int
    data: bytes

    @property
    def description(self) -> str:
        """The format as text, such as `WAV 44100 Hz 24-bit stereo`."""
        kind = f"{self.bits}-bit" if self.codec == PCM else f"{_NAMES[self.codec]} {self.bits}-bit"
        channels = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")
        return f"WAV {self.rate} Hz {kind} {channels}"

    @property
    def block_align(self) -> int:
        """Bytes of one sample of all channels (nBlockAlign)."""
        return self.channels * self.bits // 8

    @property
    def native(self) -> bool:
        """Whether the data is 8 kHz 16-bit mono PCM already, the server's internal format."""
        return (self.codec, self.channels, self.rate, self.bits) == (PCM, 1, 8000, 16)

    def samples(self) -> Samples:
        """The samples of mono 16-bit or G.711 data, without loss; shape (n,)."""
        if self.codec == MULAW:
            return g711.mulaw_decode(self.data)
        if self.codec == ALAW:
            return g711.alaw_decode(self.data)
        return from_bytes(self.data)

    def signal(self) -> Signal:
        """The mean of all channels at the file's own rate; ±1.0 is full scale, shape (n,).

        PromptError if a float file holds NaNs, or values far beyond full scale.
        """
        values = self._values()
        mixed: Signal = values.reshape(-1, self.channels).mean(axis=1) if self.channels > 1 else values
        return mixed

    def _values(self) -> Signal:
        data = self.data
        if self.codec in (MULAW, ALAW):
            return self.samples() / FULL_SCALE
        if self.codec == FLOAT:
            values = np.frombuffer(data, dtype=f"<f{self.bits // 8}")
            if not (np.abs(values) < _FLOAT_LIMIT).all():  # false for a NaN, too
                raise PromptError("is a damaged WAV file: it holds values that are no sound")
            return values.astype(np.float64)
        if self.bits == 8:  # the only unsigned width
            return (np.frombuffer(data, dtype=np.uint8).astype(np.float64) - 128) / 128
        if self.bits == 24:
            wide = np.zeros((len(data) // 3, 4), dtype=np.uint8)
            wide[:, 1:] = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
            return wide.view("<i4")[:, 0] / 2**31
        return np.frombuffer(data, dtype=f"<i{self.bits // 8}") / 2.0 ** (self.bits - 1)


def parse(content: bytes) -> Wav:
    """The WAV file in `content`.

    PromptError if the file is damaged, UnsupportedCodecError if it is intact but compressed.
    """
    file, start, size = locate_data(lambda at, count: content[at : at + count], len(content))
    return replace(file, data=content[start : start + size])


def locate_data(read: Callable[[int, int], bytes], length: int) -> tuple[Wav, int, int]:
    """The format of a WAV file of `length` bytes, the offset of its sample data, and the data's size in bytes.

    `read(offset, count)` returns bytes of the file. Errors are those of `parse`.
    """
    head = read(0, 12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise PromptError("is not a WAV file: it does not begin with RIFF....WAVE")
    format_chunk: bytes | None = None
    at = 12
    while at + 8 <= length:
        chunk = read(at, 8)
        name, size = chunk[:4], int.from_bytes(chunk[4:], "little")
        body = at + 8
        if name == b"data":
            if format_chunk is None:
                raise PromptError("is a damaged WAV file: its data comes before its format")
            return _validate_data(format_chunk, length - body, body, size)
        if name == b"fmt ":
            format_chunk = read(body, min(size, _MAX_FORMAT_BYTES))
        at = body + size + (size & 1)
    raise PromptError("is a damaged WAV file: it ends before its data")


def _validate_data(format_chunk: bytes, present: int, body: int, size: int) -> tuple[Wav, int, int]:
    """Check the format and the data's size, and return the result of `locate_data`.

    The data begins at `body`. The header says that it has `size` bytes; `present` bytes are in the file.
    """
    if len(format_chunk) < 16:
        raise PromptError("is a damaged WAV file: its format chunk is cut short")
    codec, channels, rate, _, align, bits = struct.unpack_from("<HHIIHH", format_chunk)
    if codec == EXTENSIBLE and len(format_chunk) >= 26:
        codec = int.from_bytes(format_chunk[24:26], "little")
    if codec not in (PCM, FLOAT, ALAW, MULAW):
        raise UnsupportedCodecError(f"is a WAV file of codec 0x{codec:04x}")
    widths = {PCM: (8, 16, 24, 32), FLOAT: (32, 64)}.get(codec, (8,))
    if bits not in widths or not channels or not 1000 <= rate <= 768_000 or align != channels * bits // 8:
        raise PromptError(
            f"is a damaged WAV file: {channels} channels of {bits} bits at {rate} Hz in blocks of {align} bytes"
        )
    if size > present:
        if size < _STREAMED:
            raise PromptError(f"is cut short: its header promises {size} bytes of sound, {present} are there")
        size = present - present % align
    if not size:
        raise PromptError("has no sound in it")
    if size % align:
        raise PromptError(f"is a damaged WAV file: {size} bytes of sound in blocks of {align} bytes")
    return Wav(codec, channels, rate, bits, b""), body, size


def header(channels: int, size: int) -> bytes:
    """The 44-byte header of a WAV file with `size` bytes of 16-bit PCM at 8 kHz."""
    size = min(size, MAX_DATA)
    block = SAMPLE_BYTES * channels
    fmt = struct.pack("<HHIIHH", PCM, channels, SAMPLE_RATE, SAMPLE_RATE * block, block, 8 * SAMPLE_BYTES)
    return struct.pack(
        "<4sI4s4sI16s4sI", b"RIFF", HEADER_BYTES - 8 + size, b"WAVE", b"fmt ", 16, fmt, b"data", size
    )
