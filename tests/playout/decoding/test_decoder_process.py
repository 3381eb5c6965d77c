"""What a decoder process answers, without the process."""

from pathlib import Path

import pytest

from mediaserver.audio.pcm import to_bytes
from mediaserver.playout.decoding import decoder_process
from mediaserver.playout.decoding.archive import Archive
from mediaserver.support.store import Store
from tests.sound import speechlike, write_wav

SOUND = speechlike(1000)


def test_a_sound_file_is_described_and_its_pcm_is_all_of_it(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", SOUND)
    about, pcm = decoder_process.answer(str(path), None)
    assert pcm == to_bytes(SOUND)
    assert about["source"] == "WAV 8000 Hz 16-bit mono"
    assert -30 < about["loudness_lufs"] < about["peak_dbfs"] < 0
    assert (about["stored"], about["trouble"]) == ("", "")


def test_pcm_with_line_ends_in_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.sln"
    path.write_bytes(b"\n\n\n{}\n\n" * 100)
    assert decoder_process.answer(str(path), None)[1] == b"\n\n\n{}\n\n" * 100


def test_what_was_decoded_before_is_found_in_the_archive(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", SOUND)
    archive = Archive(Store(str(tmp_path / "cache"), 1_000_000), "one")
    first, second = (decoder_process.answer(str(path), archive) for _ in range(2))
    assert (first[0]["stored"], second[0]["stored"]) == ("miss", "hit")
    assert first[1] == second[1] == to_bytes(SOUND)
    assert first[0] | {"stored": "hit"} == second[0]


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("gone.wav", None, "cannot be read: "),
        ("empty.wav", b"", "is empty"),
        ("odd.sln", b"abc", "is not 16-bit PCM: 3 bytes are not a whole number of samples"),
        ("text.wav", b"hello", "is not a WAV file: it does not begin with RIFF....WAVE"),
    ],
)
def test_why_a_file_cannot_be_played(
    name: str, content: bytes | None, why: str, stored: bool, tmp_path: Path
) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    archive = Archive(Store(str(tmp_path / "cache"), 1_000_000), "one") if stored else None
    about, pcm = decoder_process.answer(str(path), archive)
    assert (list(about), pcm) == (["error"], b"")
    assert about["error"].startswith(why)


def test_whatever_else_goes_wrong_is_an_answer_too() -> None:
    assert decoder_process.answer("no\0path.wav", None) == (
        {"error": "cannot be decoded: ValueError: embedded null byte"},
        b"",
    )
