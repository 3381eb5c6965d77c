"""A sound file of any kind to 8 kHz mono PCM. Runs in worker processes: it may be slow, and knows no asyncio."""

import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from mediaserver.audio import g711, levels, wav
from mediaserver.audio.pcm import SAMPLE_BYTES, SAMPLE_RATE, Samples, Signal, from_bytes, quantize, to_bytes
from mediaserver.errors import PromptError, plainly
from mediaserver.playout.formats import ALAW, FFMPEG, LINEAR, MULAW


@dataclass(frozen=True, slots=True)
class Decoded:
    """A sound file's samples in the house format, and what it was."""

    pcm: bytes  # 16-bit little-endian, 8 kHz, mono
    source: str  # the file's own format, for people
    peak_dbfs: float
    loudness_lufs: float


def decode_file(path: Path) -> Decoded:
    """Decode the file at `path` by its extension; PromptError says why it cannot be played."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise PromptError(f"cannot be read: {plainly(error)}") from error
    return decode(path, content)


def decode(path: Path, content: bytes) -> Decoded:
    """The same of a file whose content has been read; ffmpeg reads it again."""
    try:
        samples, source = _decode(path, content)
    except OSError as error:
        raise PromptError(f"cannot be read: {plainly(error)}") from error
    if not len(samples):
        raise PromptError("has no sound in it")
    return Decoded(to_bytes(samples), source, levels.peak_dbfs(samples), levels.loudness_lufs(samples))


def _decode(path: Path, content: bytes) -> tuple[Samples, str]:
    extension = path.suffix.lower()
    if not content:
        raise PromptError("is empty")
    if extension in FFMPEG:
        return _decode_by_ffmpeg(path)
    if extension in LINEAR:
        if len(content) % SAMPLE_BYTES:
            raise PromptError(f"is not 16-bit PCM: {len(content)} bytes are not a whole number of samples")
        return from_bytes(content), "raw 8000 Hz 16-bit mono"
    if extension in MULAW:
        return g711.mulaw_decode(content), "raw 8000 Hz µ-law mono"
    if extension in ALAW:
        return g711.alaw_decode(content), "raw 8000 Hz A-law mono"
    try:
        file = wav.parse(content)
    except wav.UnsupportedCodecError:
        return _decode_by_ffmpeg(path)
    if file.native or (file.codec in (wav.MULAW, wav.ALAW) and (file.rate, file.channels) == (SAMPLE_RATE, 1)):
        return file.samples(), file.description
    return _resample(file.signal(), file.rate), file.description


def _resample(signal: Signal, rate: int) -> Samples:
    """Samples at 8 kHz. "VHQ" keeps aliases and images below -120 dB; pydub's own resampling is linear."""
    if rate != SAMPLE_RATE:
        signal = soxr.resample(signal, rate, SAMPLE_RATE, quality="VHQ")
    return quantize(signal)


def _decode_by_ffmpeg(path: Path) -> tuple[Samples, str]:
    missing = [tool for tool in ("ffmpeg", "ffprobe") if shutil.which(tool) is None]
    if missing:
        raise PromptError(
            f"needs {' and '.join(missing)}, not found here: install ffmpeg, or convert the file to WAV"
        )
    segment = _segment(path)
    width = 8 * segment.sample_width
    values = np.frombuffer(segment.raw_data, dtype=f"<i{segment.sample_width}").astype(np.float64)
    mixed = (values / 2.0 ** (width - 1)).reshape(-1, segment.channels).mean(axis=1)
    channels = {1: "mono", 2: "stereo"}.get(segment.channels, f"{segment.channels} channels")
    return _resample(mixed, segment.frame_rate), f"{path.suffix[1:].upper()} {segment.frame_rate} Hz {channels}"


def _segment(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pydub's sources carry escapes that newer Pythons warn of
        import pydub
        from pydub.exceptions import CouldntDecodeError
        from pydub.utils import mediainfo_json
    try:
        try:
            return pydub.AudioSegment.from_file(path)
        except CouldntDecodeError as error:
            if "Unknown encoder" not in str(error):
                raise
            # pydub asks for as many bits as the codec has, 4 for ADPCM; told the codec, it leaves that to ffmpeg
            streams = mediainfo_json(path)["streams"]
            codec = next(stream["codec_name"] for stream in streams if stream["codec_type"] == "audio")
            return pydub.AudioSegment.from_file(path, codec=codec)
    except (CouldntDecodeError, LookupError, ValueError) as error:  # pydub itself trips over odd probes
        raise PromptError(f"cannot be decoded by ffmpeg: {_reason(error, path)}") from error


def _reason(error: Exception, path: Path) -> str:
    """The last line of ffmpeg's own words, without the path it names: ours is said once already."""
    lines = [line.strip() for line in str(error).replace("\\n", "\n").splitlines() if line.strip(" '\"")]
    return (lines[-1] if lines else type(error).__name__).removeprefix(f"{path}: ").strip(" '\"")
