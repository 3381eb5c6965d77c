"""Compressed sound files begin and end where their containers say, to the sample."""

import struct
from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio.containers import ogg
from mediaserver.audio.pcm import FULL_SCALE, Samples, from_bytes
from mediaserver.playout.decoding.decode import decode_file
from tests.sound import convert, sine, speechlike, write_wav

ONE_PAGE = ("-page_duration", "60000000")  # µs


def decoded(path: Path) -> Samples:
    done = decode_file(path)
    assert not done.warnings
    return from_bytes(done.pcm)


def tone(folder: Path, samples: int, rate: int) -> Path:
    return write_wav(folder / "source.wav", sine(440, samples / rate, rate) * FULL_SCALE, rate)


def vorbis(ffmpeg: str, source: Path, target: Path, *options: str) -> Path:
    return convert(ffmpeg, source, target, "-c:a", "libvorbis", "-q:a", "6", *options)


def sound_pages(path: Path) -> int:
    return path.read_bytes().count(b"OggS") - 2  # the headers take two pages


def assert_same_tone(path: Path, original: Path) -> None:
    """The whole tone is there, its first and last samples as well, and nothing beside it."""
    heard, meant = decoded(path), decoded(original)
    assert len(heard) == len(meant)
    difference = np.abs(heard.astype(int) - meant)
    assert difference.max() < 0.1 * FULL_SCALE
    assert difference[-80:].mean() < 0.02 * FULL_SCALE


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("seconds", [0.1, 0.5, 1.0, 2.37])
def test_vorbis_on_one_page_ends_where_its_page_says(
    tmp_path: Path, ffmpeg: str, rate: int, seconds: float
) -> None:
    original = tone(tmp_path, round(seconds * rate), rate)
    path = vorbis(ffmpeg, original, tmp_path / "a.ogg", *ONE_PAGE)
    assert sound_pages(path) == 1
    assert_same_tone(path, original)


@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000])
def test_vorbis_on_many_pages_ends_where_its_last_page_says(tmp_path: Path, ffmpeg: str, rate: int) -> None:
    original = tone(tmp_path, round(3.21 * rate), rate)
    path = vorbis(ffmpeg, original, tmp_path / "a.ogg")
    assert sound_pages(path) > 2
    assert_same_tone(path, original)


@pytest.mark.parametrize("seconds", [0.5, 2.37])
def test_opus_on_one_page_ends_where_its_page_says(tmp_path: Path, ffmpeg: str, seconds: float) -> None:
    original = tone(tmp_path, round(seconds * 48_000), 48_000)
    path = convert(ffmpeg, original, tmp_path / "a.opus", "-c:a", "libopus", *ONE_PAGE)
    assert sound_pages(path) == 1
    assert len(decoded(path)) == len(decoded(original))


def test_ogg_files_that_were_joined_are_played_to_the_end(tmp_path: Path, ffmpeg: str) -> None:
    """The page of either file alone does not tell the length of both."""
    path = vorbis(ffmpeg, tone(tmp_path, 8000, 8000), tmp_path / "a.ogg", *ONE_PAGE)
    path.write_bytes(path.read_bytes() * 2)
    assert len(decoded(path)) >= 16_000


def test_only_a_vorbis_stream_that_ends_on_its_first_page_with_sound_tells_its_length() -> None:
    def page(flags: int, position: int, body: bytes) -> bytes:
        return b"OggS\0" + struct.pack("<BqIIIBB", flags, position, 1, 0, 0, 1, len(body)) + body

    def told(content: bytes, begin: int = 0) -> int | None:
        return ogg.only_page_samples(lambda at, count: content[at : at + count], begin)

    first, headers, begun, only = (
        page(2, 0, b"\x01vorbis"),
        page(0, 0, b"\x03vorbis"),
        page(0, -1, b"a packet's first half"),
        page(4, 4001, b"sound"),
    )
    assert told(first + headers + only) == 4001
    assert told(b"ID3" + first + headers + begun + only + b"TAG", begin=3) == 4001
    assert told(first + headers + page(0, 2000, b"sound") + only) is None  # two pages
    assert told(first + headers + page(0, 4001, b"sound")) is None  # cut short
    assert told(first + headers + only + first) is None  # another stream follows
    assert told(page(2, 0, b"OpusHead") + headers + only) is None
    assert told((first + headers + only)[:-20]) is None
    assert told(b"RIFF" * 20) is None


def with_remainder(path: Path, samples: int) -> None:
    """Have a CAF file's packet table say how many samples there are, which old versions of ffmpeg round up."""
    content = bytearray(path.read_bytes())
    at = content.index(b"pakt") + 12
    (packets,) = struct.unpack_from(">q", content, at)
    struct.pack_into(">qii", content, at + 8, samples, 0, packets * 4096 - samples)
    path.write_bytes(content)


@pytest.mark.parametrize("samples", [800, 4001, 8000, 26_401, 80_000])
def test_alac_in_caf_passes_bit_exact(tmp_path: Path, ffmpeg: str, samples: int) -> None:
    source = write_wav(tmp_path / "source.wav", speechlike(samples))
    path = convert(ffmpeg, source, tmp_path / "a.caf", "-c:a", "alac")
    with_remainder(path, samples)
    assert np.array_equal(decoded(path), speechlike(samples))


@pytest.mark.parametrize("samples", [4001, 80_000])
def test_alac_in_m4a_passes_bit_exact(tmp_path: Path, ffmpeg: str, samples: int) -> None:
    source = write_wav(tmp_path / "source.wav", speechlike(samples))
    assert np.array_equal(
        decoded(convert(ffmpeg, source, tmp_path / "a.m4a", "-c:a", "alac")), speechlike(samples)
    )
