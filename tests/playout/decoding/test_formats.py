"""Which of several files with one prompt name is played: the kind of a WAV file is told by its header."""

import struct

import pytest

from mediaserver.playout.decoding.formats import EXTENSIONS, UNDECODABLE, preference


def head(rate: int, code: int = 1, before: bytes = b"") -> bytes:
    """The first bytes of a WAV file; `before` is a chunk before its format."""
    form = struct.pack("<HHIIHH", code, 1, rate, 2 * rate, 2, 16)
    return b"RIFF\0\0\0\0WAVE" + before + b"fmt \x10\0\0\0" + form


BEXT = b"bext\x08\0\0\0" + bytes(8)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (head(8000), head(16_000)),
        (head(8000), head(8000, code=6)),  # 16 bits before G.711
        (head(8000, code=6), head(8000, code=3)),
        (head(8000, code=7), head(16_000)),
        (head(16_000), head(48_000)),  # the nearest to the telephone's rate
        (head(8000, code=3), head(16_000, code=3)),
        (head(48_000), head(8000, code=17)),  # lossless before ADPCM
        (head(48_000, code=0xFFFE), head(8000, code=17)),
        (head(44_100, code=0xFFFE), head(48_000, code=3)),
        (head(48_000), b"RIFF\0\0\0\0WAVE"),  # a header that tells nothing comes last
        (head(48_000), head(8000)[:-9]),  # it ends amid the rate
        (head(8000)[:-8], head(16_000)),
        (head(48_000), b""),
        (head(8000, before=BEXT), head(16_000)),
    ],
)
def test_of_wav_files_the_one_that_loses_least_is_played(better: bytes, worse: bytes) -> None:
    heads = {".wav": worse, ".wave": better}
    assert min(heads, key=lambda extension: preference(extension, heads[extension])) == ".wave"
    heads = {".wav": better, ".wave": worse}
    assert min(heads, key=lambda extension: preference(extension, heads[extension])) == ".wav"


@pytest.mark.parametrize(
    "order",
    [
        (".sln", ".ulaw", ".sln12", ".sln16", ".sln192", ".flac", ".g722", ".gsm", ".g729", ".opus", ".mp3"),
        (
            ".pcm",
            ".raw",
            ".sln",
            ".sln8",
            ".slin",
            ".ulaw",
            ".ul",
            ".alaw",
            ".aiff",
            ".au",
            ".vox",
            ".ogg",
            ".amr",
        ),
    ],
)
def test_files_of_other_kinds_are_in_the_order_of_what_they_lose(order: tuple[str, ...]) -> None:
    mixed = sorted(order)
    assert sorted(mixed, key=lambda extension: preference(extension, b"")) == list(order)


@pytest.mark.parametrize(
    ("earlier", "wav", "later"),
    [
        (".sln", head(16_000), ".sln24"),
        (".ulaw", head(16_000), ".flac"),
        (".sln16", head(48_000), ".sln96"),
        (".flac", head(8000, code=17), ".mp3"),
    ],
)
def test_a_wav_file_has_its_place_among_others(earlier: str, wav: bytes, later: str) -> None:
    assert preference(earlier, b"") < preference(".wav", wav) < preference(later, b"")


def test_no_extension_is_both_played_and_not() -> None:
    assert EXTENSIONS.isdisjoint(UNDECODABLE)
    assert all(extension == extension.lower() and extension[0] == "." for extension in EXTENSIONS | UNDECODABLE)
