"""Kinds `wav`, `raw` and `coded`: sound files that are damaged, or never were any."""

import asyncio
import itertools
import math
import struct
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from mediaserver.audio.containers import wav
from mediaserver.errors import PromptError
from mediaserver.playout.decoding.decode import DecodedAudio, decode_file
from mediaserver.playout.decoding.formats import RAW
from tests.fuzz import mutate
from tests.fuzz.lab import Lab
from tests.sound import Pcm, sine, write_wav
from tests.timing import PATIENCE

_FORMATS = [(wav.PCM, bits) for bits in (8, 16, 16, 24, 32)]
_FORMATS += [(wav.FLOAT, 32), (wav.FLOAT, 64), (wav.ALAW, 8), (wav.MULAW, 8), (0x11, 4), (0x55, 0), (0x02, 4)]
_RATES = [8000, 8000, 16_000, 44_100, 48_000, 11_025, 1000, 999, 768_000, 0, 1, 2**31, 2**32 - 1]
_CODINGS = {"mp3": "libmp3lame", "ogg": "libvorbis", "flac": "flac", "wav": "adpcm_ima_wav"}
_counter = itertools.count()
_MAX_GROWTH = 80  # bytes of sound for a byte of a file: from 1000 Hz and 2 bits to 8000 Hz and 16, and some


@dataclass(frozen=True)
class File:
    """A file's extension and what is in it."""

    extension: str
    content: bytes


def make_wav(rng: Random) -> File:
    """A WAV file of any sample format, of which this or that is not true."""
    codec, bits = rng.choice(_FORMATS)
    channels = rng.choice((1, 1, 2, 2, 6, 0, 255, 65_535)) if rng.random() < 0.3 else rng.choice((1, 2))
    rate = rng.choice(_RATES) if rng.random() < 0.3 else rng.choice((8000, 16_000, 44_100))
    align = channels * bits // 8 & 0xFFFF
    sound = _sound(rng, max(1, min(align, 64)) * int(800 * rng.random()))
    form = struct.pack("<HHIIHH", codec, channels, rate, rate * align & 0xFFFFFFFF, align, bits)
    if rng.random() < 0.2:
        guid = codec.to_bytes(2, "little") + bytes.fromhex("000000001000800000aa00389b71")
        form = struct.pack("<H", wav.EXTENSIBLE) + form[2:] + struct.pack("<HHI", 22, bits, 3) + guid
    chunks = [(b"fmt ", form), (b"data", sound)]
    for _ in range(rng.choice((0, 0, 0, 1, 3))):
        name = rng.choice((b"LIST", b"fact", b"fmt ", b"data", b"\0\0\0\0"))
        chunks.insert(rng.randint(0, len(chunks)), (name, mutate.noise(rng, 40)))
    body = b"".join(_chunk(rng, name, content) for name, content in chunks)
    content = b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body
    return File("wav", _spoilt(rng, content))


def _chunk(rng: Random, name: bytes, content: bytes) -> bytes:
    size = rng.choice(mutate.EXTREMES) & 0xFFFFFFFF if rng.random() < 0.05 else len(content)
    return name + struct.pack("<I", size) + content + bytes(len(content) & 1)


def _sound(rng: Random, size: int) -> bytes:
    """Noise, silence, or one extreme number again and again (of a float: not a number, infinite, the largest)."""
    extreme = rng.choice((math.nan, math.inf, -math.inf, 1.7e308, -1.7e308, 5e-324))
    repeated = rng.choice((struct.pack("<d", extreme), b"\xff\x7f", b"\x00\x80", b"\x7f\x7f\xff\xff"))
    return rng.choice((rng.randbytes(size), rng.randbytes(size), bytes(size), (repeated * (size // 2 + 1))[:size]))


def _spoilt(rng: Random, content: bytes) -> bytes:
    dice = rng.random()
    if dice < 0.3:
        return content
    if dice < 0.6:
        return mutate.mutated(rng, content[:64], 2) + content[64:]  # what the header says
    return mutate.noise(rng) if dice < 0.65 else mutate.mutated(rng, content)


def make_raw(rng: Random) -> File:
    """Bytes under a name of a headerless format: all of them are sound, but for half a sample."""
    extension = rng.choice(sorted(RAW))
    return File(rng.choice((extension, extension.upper()))[1:], mutate.noise(rng, 4000))


def make_coded(rng: Random) -> File:
    """A compressed file of ffmpeg's own making, damaged, or under another's name."""
    extension = rng.choice(sorted(_CODINGS))
    content = _sources()[extension]
    content = mutate.noise(rng, 2000) if rng.random() < 0.05 else mutate.mutated(rng, content, 6)
    return File(extension if rng.random() < 0.8 else rng.choice(("m4a", "gsm", "amr", "webm", "aiff")), content)


@cache
def _sources() -> dict[str, bytes]:
    """A short sound in each coding."""
    with TemporaryDirectory() as folder:
        source = write_wav(Path(folder, "source.wav"), sine(440, 0.4, 8000) * 32_000)
        return {extension: _encoded(source, extension, codec) for extension, codec in _CODINGS.items()}


def _encoded(source: Path, extension: str, codec: str) -> bytes:
    target = source.with_name(f"coded.{extension}")
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(source), "-fflags", "+bitexact", "-flags:a", "+bitexact"]
    subprocess.run([*command, "-c:a", codec, str(target)], check=True, capture_output=True)
    return target.read_bytes()


def check(file: File, scratch: Path) -> None:
    """Decode it here: it is sound in the house format, or a PromptError says why not."""
    path = scratch / f"fuzz.{file.extension}"
    path.write_bytes(file.content)
    try:
        decoded = decode_file(path)
    except PromptError as error:
        _judge_words(error)
    else:
        _judge_sound(decoded)
        assert len(decoded.pcm) <= _MAX_GROWTH * len(file.content) + 1000, f"{len(decoded.pcm)} bytes of sound"
    finally:
        path.unlink()


async def meet(file: File, lab: Lab) -> None:
    """Decode it as the server does, in a decoder process with ffmpeg behind it."""
    path = lab.directory / f"{next(_counter)}.{file.extension}"
    path.write_bytes(file.content)
    try:
        async with asyncio.timeout(PATIENCE):
            about, taken = await lab.pool.decode(path, Pcm)
    except PromptError as error:
        _judge_words(error)
        if "cannot be decoded:" in str(error):  # what a decoder says of an error that nobody foresaw
            raise
    else:
        _judge_sound(DecodedAudio(b"".join(taken.blocks), *about))
    finally:
        path.unlink()


def _judge_words(error: PromptError) -> None:
    assert str(error).strip(), "a PromptError that says nothing"
    assert len(str(error).splitlines()) == 1, f"more than one line: {str(error)!r}"


def _judge_sound(decoded: DecodedAudio) -> None:
    assert decoded.pcm or decoded.warnings
    assert len(decoded.pcm) % 2 == 0
    assert len(decoded.source.splitlines()) == 1
    assert not math.isnan(decoded.peak_dbfs)
    assert decoded.peak_dbfs <= 0.1
    assert not math.isnan(decoded.loudness_lufs)
