"""Decodes compressed sound files block by block with FFmpeg's libraries, without starting the program ffmpeg.

The libraries come with the `av` package, so that all installations decode alike. Decoding a short file takes a
millisecond; starting the program ffmpeg would take fifty.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, BinaryIO

import av
import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.pcm import describe_channels
from mediaserver.errors import PromptError
from mediaserver.playout.decoding.formats import RawFormat

# The FFmpeg demuxers that may be used. Some others are unsafe: they open other files or URLs that a file names.
_DEMUXERS = (
    *("aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi", "caf", "dts", "eac3", "flac"),
    *("g722", "g726le", "g729", "gsm", "loas", "matroska", "mov", "mp3", "mpeg", "mpegts", "ogg", "tta", "voc"),
    *("w64", "wav", "webm", "wv"),
)
# Codecs that add silence before and after the sound, with their names for users. Only some containers give the
# length of this silence.
_PADDING = {
    "aac": "AAC",
    "mp3": "MP3",
    "mp3float": "MP3",
    "mp2": "MPEG layer II",
    "wmav1": "WMA",
    "wmav2": "WMA",
}
_MOST_PADDING = 4096  # the most samples of padding after a sound: two of AAC's largest frames
# Codecs that store sound in whole blocks, with their names for users.
_ADPCM = {"adpcm_ima_wav": "IMA ADPCM", "adpcm_ms": "Microsoft ADPCM"}
# The highest peak of digital silence after ADPCM decoding, as the smallest steps of ADPCM are 7 and 16.
_FILLING_PEAK = 24 / 32768
_BLOCK_SAMPLES = 1 << 14  # number of samples of each channel that are mixed down to mono at a time
_VOX_BLOCK = 1 << 16  # bytes of a Dialogic ADPCM file that are decoded at a time


@dataclass(slots=True)
class LibavSound:
    """The description of a file's first audio stream. `warnings` is complete once the whole file is decoded."""

    name: str = ""  # the format's name for users, such as `MP3`
    seconds: float = 0.0  # the duration in seconds that the container gives; 0 if it gives none
    warnings: list[str] = field(default_factory=list)

    def describe(self, rate: int, channels: int) -> str:
        """The format as text, such as `MP3 44100 Hz stereo`."""
        return f"{self.name} {rate} Hz {describe_channels(channels)}"


# A decoded block: its rate in Hz, its number of channels, and the channels' mean: shape (n,), ±1.0 full scale.
Block = tuple[int, int, NDArray[np.float64]]


@contextmanager
def open_sound(
    file: BinaryIO, raw: RawFormat | None = None, samples: int | None = None
) -> Iterator[tuple[LibavSound, Iterator[Block]]]:
    """Open a sound file, and yield its description and an iterator of its decoded blocks.

    `raw` is the format of a file without a header, None for other files. `samples` is the number of samples for
    each channel, without the codec's padding, if the container gives it and FFmpeg gets it wrong; else None.

    Raises PromptError if the file has no sound, or no sound that can be decoded.
    """
    file.seek(0)
    if raw is not None and raw.codec == "vox":
        yield LibavSound("Dialogic ADPCM"), _vox_blocks(file, raw.rate)
        return
    options = {"format_whitelist": ",".join(_DEMUXERS)}
    if raw is not None and raw.code_bits:
        options |= {"code_size": str(raw.code_bits), "sample_rate": str(raw.rate)}
    try:
        demuxer = raw.codec if raw is not None else None
        container = av.open(file, "r", format=demuxer, options=options, metadata_errors="replace")
    except av.FFmpegError as error:
        raise PromptError(f"cannot be decoded by FFmpeg: {_words(error)}") from error
    with container:
        if not container.streams.audio:
            why = "has pictures and no sound" if container.streams.video else "has no sound in it"
            raise PromptError(why)
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise PromptError("is of a codec that FFmpeg's libraries do not have")
        codec = stream.codec_context.codec.canonical_name
        name = container.format.name if codec.startswith("pcm_") else codec
        seconds = container.duration / av.time_base if container.duration else 0.0
        sound = LibavSound(name.split(",")[0].upper(), seconds)
        end = samples or _told_end(container, stream)
        lengths = Counter[int]()  # how many of FFmpeg's frames have each length in samples
        blocks = _blocks(container, stream, sound, end, lengths)
        yield sound, _without_filling(blocks, sound, _ADPCM[codec], lengths) if codec in _ADPCM else blocks


def _blocks(
    container: Any, stream: Any, sound: LibavSound, end: int | None, lengths: Counter[int]
) -> Iterator[Block]:
    decoded = 0
    surplus = list[Block]()  # blocks beyond the length in the header: padding, unless that length is wrong
    for rate, channels, mixed in _mixed(_frames(container, stream, sound, end), lengths):
        kept = len(mixed) if end is None else max(0, min(len(mixed), end - decoded))
        decoded += len(mixed)
        if kept:
            yield rate, channels, mixed[:kept]
        if kept < len(mixed):
            surplus.append((rate, channels, mixed[kept:]))
        # More samples than a codec pads show that the length in the file's header is wrong.
        if end is not None and decoded > end + _MOST_PADDING:
            yield from surplus
            end = None
            surplus.clear()
    if end is not None:
        decoded = min(decoded, end)
    codec = stream.codec_context.codec.canonical_name
    # If the container gives the padding's length, FFmpeg cuts the padding off, and the number of `decoded` samples
    # is then hardly ever a multiple of a frame's samples.
    if codec in _PADDING and lengths and decoded % lengths.most_common(1)[0][0] == 0:
        sound.warnings.append(
            f"has some silence at its ends, as {_PADDING[codec]} has, and does not tell how much: where it loops "
            "or joins another prompt, there is a gap; convert the original to WAV or FLAC"
        )


def _without_filling(
    blocks: Iterator[Block], sound: LibavSound, codec: str, lengths: Counter[int]
) -> Iterator[Block]:
    """Leave out the silence that fills the last block of an ADPCM file.

    A WAV file holds whole blocks of ADPCM, up to 255 ms each at 8 kHz. Its `fact` chunk should give the number of
    samples before the filling, but FFmpeg and libsndfile count the filling as well. A loop of the file would then
    have a gap. Silence before the last block is kept, because an author meant it.
    """
    held: Block | None = None
    for block in blocks:
        if held is not None:
            yield held
        held = block
    if held is None:
        return
    rate, channels, mixed = held
    last = min(len(mixed), lengths.most_common(1)[0][0])
    loud = np.flatnonzero(np.abs(mixed[len(mixed) - last :]) > _FILLING_PEAK)
    silent = last - 1 - int(loud[-1]) if len(loud) else 0
    if silent:
        length = f"{1000 * silent / rate:.0f} ms"
        sound.warnings.append(f"ends with {length} of silence that fill {codec}'s last block: left out")
    yield rate, channels, mixed[: len(mixed) - silent]


def _mixed(frames: Iterator[Any], lengths: Counter[int]) -> Iterator[Block]:
    """Mix FFmpeg's frames down to one channel, many at a time: numpy takes as long for few samples as for many."""
    for (rate, channels, planar), alike in groupby(frames, key=_layout):
        # Damaged files may claim impossible rates: at 1 Hz, each byte would become a second of sound.
        if not 1000 <= rate <= 768_000:
            raise PromptError(f"is damaged: it claims to have {rate} samples a second")
        waiting, samples = list[NDArray[Any]](), 0
        for frame in alike:
            lengths[frame.samples] += 1
            values = frame.to_ndarray()
            waiting.append(values if planar else values.reshape(-1, channels).T)
            samples += frame.samples
            if samples >= _BLOCK_SAMPLES:
                yield rate, channels, _mix(waiting)
                waiting, samples = [], 0
        if waiting:
            yield rate, channels, _mix(waiting)


def _layout(frame: Any) -> tuple[int, int, bool]:
    return frame.sample_rate, frame.layout.nb_channels, frame.format.is_planar


def _told_end(container: Any, stream: Any) -> int | None:
    """The length in samples, without padding, that the header of an MP4 or CAF file gives; None for other files.

    FFmpeg cuts off the padding before the sound. It leaves the padding after the sound of an MP4 file, and takes
    that of a CAF file off ALAC's last packet, which has none.
    """
    told = container.format.name.startswith(("mov", "caf"))
    if not told or not stream.time_base or (stream.duration or 0) <= 0:
        return None
    return int(stream.duration * stream.time_base * stream.rate)


def _frames(container: Any, stream: Any, sound: LibavSound, end: int | None) -> Iterator[Any]:
    """Yield a stream's decoded frames. Damaged packets are left out, and counted in a warning of `sound`.

    If the `end` of the sound is known, the frames go on to the end of the last packet, for the caller to cut.
    """
    packets, decoded, damaged = container.demux(stream), False, 0
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            if not decoded:
                raise PromptError(f"cannot be decoded by FFmpeg: {_words(error)}") from error
            sound.warnings.append(f"is damaged, and ends early: {_words(error)}")
            break
        if packet is None:
            break
        if end is not None and packet.has_sidedata("skip_samples"):
            _keep_end(packet)
        try:
            frames = packet.decode()
        except av.FFmpegError:
            damaged += 1
            continue
        decoded = decoded or bool(frames)
        yield from frames
    if damaged and not decoded:
        raise PromptError("cannot be decoded by FFmpeg: none of its data is valid")
    if damaged:
        sound.warnings.append(f"is damaged: {damaged} packets of it could not be decoded")


def _keep_end(packet: Any) -> None:
    """Have FFmpeg decode a packet to its end, whatever the demuxer would cut off there.

    The demuxer's orders are the packet's "skip samples": how many to leave out of its beginning (4 bytes) and of
    its end (4 bytes), and why.
    """
    skip = packet.get_sidedata("skip_samples")
    orders = bytes(skip)
    skip.update(orders[:4] + bytes(4) + orders[8:])
    packet.set_sidedata(skip)


def _mix(parts: Sequence[NDArray[Any]]) -> NDArray[np.float64]:
    """Join parts, each of shape (channels, n), and average their channels: shape (n,), ±1.0 full scale."""
    values = np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0]
    mixed: NDArray[np.float64] = values.mean(axis=0, dtype=np.float64)
    if values.dtype == np.uint8:
        return (mixed - 128) / 128
    return mixed / 2.0 ** (8 * values.itemsize - 1) if values.dtype.kind == "i" else mixed


def _vox_blocks(file: BinaryIO, rate: int) -> Iterator[Block]:
    """Decode a Dialogic ADPCM file, for which FFmpeg has no demuxer: the file consists of codes alone."""
    decoder = av.CodecContext.create("adpcm_ima_oki", "r")
    decoder.sample_rate, decoder.layout = rate, "mono"  # type: ignore[attr-defined]
    for block in iter(lambda: file.read(_VOX_BLOCK), b""):
        frames = iter(decoder.decode(av.Packet(block)))  # type: ignore[attr-defined]
        for _, channels, mixed in _mixed(frames, Counter()):
            yield rate, channels, mixed


def _words(error: av.FFmpegError) -> str:
    """FFmpeg's text for an error, without the error number and the file's path."""
    return (error.strerror or str(error)).lower()
