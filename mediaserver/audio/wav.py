"""RIFF WAVE in memory: bytes to samples, in every uncompressed flavour telephony meets.

Sources: Microsoft's "Multimedia Programming Interface and Data Specifications 1.0" (RIFF), "New Multimedia
Data Types" (format codes) and KSDATAFORMAT_SUBTYPE for WAVE_FORMAT_EXTENSIBLE. Knows bytes, not files.
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
HEADER_BYTES = 44  # of the files we write
MAX_DATA = 0xFFFFFFFF - HEADER_BYTES
_STREAMED = 0x7FFF0000  # data sizes from here on are left by writers that cannot seek back: ffmpeg, SoX, others
_LONGEST_FORMAT = 65_536  # bytes of a format chunk that are read
_FLOAT_LIMIT = 1e6  # times full scale; louder is no sound


class UnsupportedCodecError(PromptError):
    """A sound WAV file whose format code is not one of the uncompressed ones."""


@dataclass(frozen=True, slots=True)
class Wav:
    """A WAV file's format and its bytes of sound."""

    codec: int
    channels: int
    rate: int  # Hz
    bits: int
    data: bytes

    @property
    def description(self) -> str:
        """Such as `WAV 44100 Hz 24-bit stereo`."""
        kind = f"{self.bits}-bit" if self.codec == PCM else f"{_NAMES[self.codec]} {self.bits}-bit"
        channels = {1: "mono", 2: "stereo"}.get(self.channels, f"{self.channels} channels")
        return f"WAV {self.rate} Hz {kind} {channels}"

    @property
    def align(self) -> int:
        """Bytes of one sample of all channels."""
        return self.channels * self.bits // 8

    @property
    def native(self) -> bool:
        """Whether the data is the house format already, to be passed on bit for bit."""
        return (self.codec, self.channels, self.rate, self.bits) == (PCM, 1, 8000, 16)

    def samples(self) -> Samples:
        """The samples of mono 16-bit or companded sound, exactly."""
        if self.codec == MULAW:
            return g711.mulaw_decode(self.data)
        if self.codec == ALAW:
            return g711.alaw_decode(self.data)
        return from_bytes(self.data)

    def signal(self) -> Signal:
        """Sound mixed down to one channel, ±1.0 full scale, at the file's own rate; shape (n,)."""
        values = self._values()
        mixed: Signal = values.reshape(-1, self.channels).mean(axis=1) if self.channels > 1 else values
        return mixed

    def _values(self) -> Signal:
        data = self.data
        if self.codec in (MULAW, ALAW):
            return self.samples() / FULL_SCALE
        if self.codec == FLOAT:
            values = np.frombuffer(data, dtype=f"<f{self.bits // 8}")
            if not (np.abs(values) < _FLOAT_LIMIT).all():  # nor is a comparison with what is no number true
                raise PromptError("is a damaged WAV file: it holds values that are no sound")
            return values.astype(np.float64)
        if self.bits == 8:  # the one unsigned width
            return (np.frombuffer(data, dtype=np.uint8).astype(np.float64) - 128) / 128
        if self.bits == 24:
            wide = np.zeros((len(data) // 3, 4), dtype=np.uint8)
            wide[:, 1:] = np.frombuffer(data, dtype=np.uint8).reshape(-1, 3)
            return wide.view("<i4")[:, 0] / 2**31
        return np.frombuffer(data, dtype=f"<i{self.bits // 8}") / 2.0 ** (self.bits - 1)


def parse(content: bytes) -> Wav:
    """The WAV file in `content`.

    Raises PromptError where the file is damaged, UnsupportedCodecError where it is sound but compressed.
    """
    file, start, size = locate(lambda at, count: content[at : at + count], len(content))
    return replace(file, data=content[start : start + size])


def locate(read: Callable[[int, int], bytes], length: int) -> tuple[Wav, int, int]:
    """A WAV file of `length` bytes without its sound, and where that begins and how many bytes it has.

    `read` gives the bytes from a place on, as many as asked for. It raises as `parse` does.
    """
    head = read(0, 12)
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        raise PromptError("is not a WAV file: it does not begin with RIFF....WAVE")
    header: bytes | None = None
    at = 12
    while at + 8 <= length:
        chunk = read(at, 8)
        name, size = chunk[:4], int.from_bytes(chunk[4:], "little")
        body = at + 8
        if name == b"data":
            if header is None:
                raise PromptError("is a damaged WAV file: its data comes before its format")
            return _located(header, length - body, body, size)
        if name == b"fmt ":
            header = read(body, min(size, _LONGEST_FORMAT))
        at = body + size + (size & 1)
    raise PromptError("is a damaged WAV file: it ends before its data")


def _located(header: bytes, present: int, body: int, size: int) -> tuple[Wav, int, int]:
    if len(header) < 16:
        raise PromptError("is a damaged WAV file: its format chunk is cut short")
    codec, channels, rate, _, align, bits = struct.unpack_from("<HHIIHH", header)
    if codec == EXTENSIBLE and len(header) >= 26:
        codec = int.from_bytes(header[24:26], "little")
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
    """What stands before `size` bytes of 16-bit PCM at 8 kHz in a WAV file."""
    size = min(size, MAX_DATA)
    block = SAMPLE_BYTES * channels
    form = struct.pack("<HHIIHH", PCM, channels, SAMPLE_RATE, SAMPLE_RATE * block, block, 8 * SAMPLE_BYTES)
    return struct.pack(
        "<4sI4s4sI16s4sI", b"RIFF", HEADER_BYTES - 8 + size, b"WAVE", b"fmt ", 16, form, b"data", size
    )
