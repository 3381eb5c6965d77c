"""What a scan of a prompt folder finds."""

import os
import struct
from pathlib import Path

import pytest

from mediaserver.playout.prompts.scan import scan_folder


def playable(directory: Path) -> list[str]:
    """The prompt names for which a folder has a playable file."""
    return [name for name, file in scan_folder(directory).files.items() if file.path]


def problems(directory: Path) -> dict[str, str]:
    """Why files of a folder cannot be prompts, by their paths."""
    found = scan_folder(directory).files.values()
    return {file: why for snapshot in found for file, why in snapshot.problems.items()}


def test_names_are_paths_without_extension(tmp_path: Path) -> None:
    for name in ("welcome.wav", "music/hold.mp3", "de/zahlen/1.ulaw", ".hidden.wav", "..data/x.wav", "README.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert playable(tmp_path) == ["de/zahlen/1", "music/hold", "welcome"]
    assert scan_folder(tmp_path).ignored == ["README.md"]
    assert problems(tmp_path) == {}


def wav_file(rate: int, codec: int = 1) -> bytes:
    return b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + struct.pack("<HHIIHH", codec, 1, rate, 2 * rate, 2, 16)


# Each before all that come after it.
ORDER = [
    ("a.wav", wav_file(8000)),
    ("a.sln", b"x"),
    ("a.wave", wav_file(8000, codec=7)),
    ("a.ulaw", b"x"),
    ("a.alaw", b"x"),
    ("a.wav16", wav_file(16_000)),
    ("a.sln48", b"x"),
    ("a.flac", b"x"),
    ("a.g722", b"x"),
    ("a.gsm", b"x"),
    ("a.opus", b"x"),
    ("a.mp3", b"x"),
    ("a.amr", b"x"),
]


@pytest.mark.parametrize("first", range(len(ORDER) - 1))
def test_of_several_files_with_one_name_the_best_is_taken(tmp_path: Path, first: int) -> None:
    for name, content in ORDER[first:]:
        (tmp_path / name).write_bytes(content)
    found = scan_folder(tmp_path).files["a"]
    assert found.path == tmp_path / ORDER[first][0]
    assert sorted(found.passed_over) == sorted(name for name, _ in ORDER[first + 1 :])
    assert found.problems == {}


def test_a_broken_link_is_never_the_best(tmp_path: Path) -> None:
    (tmp_path / "a.wav").symlink_to("nowhere")
    (tmp_path / "a.amr").write_bytes(b"x")
    assert scan_folder(tmp_path).files["a"].path == tmp_path / "a.amr"


def test_sound_that_cannot_be_decoded_is_known_by_its_name(tmp_path: Path) -> None:
    for name in ("a.siren7", "notes.txt", "b.g723", "b.wav"):
        (tmp_path / name).write_bytes(b"x")
    found = scan_folder(tmp_path)
    assert found.ignored == ["a.siren7", "b.g723", "notes.txt"]
    assert found.undecodable == {"a": "a.siren7", "b": "b.g723"}


def test_a_name_is_the_same_however_its_accents_are_stored(tmp_path: Path) -> None:
    (tmp_path / "gru\u0308n.wav").write_bytes(b"x")  # as macOS writes it
    assert playable(tmp_path) == ["gr\u00fcn"]


def test_links_are_followed_but_not_for_ever(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.wav").write_bytes(b"x")
    (tmp_path / "real/up").symlink_to(tmp_path)
    (tmp_path / "b.wav").symlink_to(tmp_path / "real/a.wav")
    assert playable(tmp_path) == ["b", "real/a"]
    assert problems(tmp_path) == {}
    assert scan_folder(tmp_path).skipped == {"real/up": "is a link to a folder above it, and passed over"}


def test_a_folder_that_is_reached_twice_has_both_names(tmp_path: Path) -> None:
    (tmp_path / "en_US_voice").mkdir()
    (tmp_path / "en_US_voice/hello.wav").write_bytes(b"x")
    (tmp_path / "en").symlink_to("en_US_voice")
    (tmp_path / "fr").mkdir()
    (tmp_path / "fr/english").symlink_to("../en")
    assert playable(tmp_path) == ["en/hello", "en_US_voice/hello", "fr/english/hello"]
    assert scan_folder(tmp_path).skipped == {}


def test_links_that_multiply_folders_come_to_an_end(tmp_path: Path) -> None:
    folders = [tmp_path / str(number) for number in range(9)]  # nearly a million ways through them
    for folder in folders:
        folder.mkdir()
        (folder / "a.wav").write_bytes(b"x")
        for other in folders:
            (folder / f"to-{other.name}").symlink_to(other)
    found = scan_folder(tmp_path)
    assert {f"{number}/a" for number in range(9)} <= set(found.files)
    assert len(found.files) <= 10_000
    assert any("with all links there are more than 10000 folders" in why for why in found.skipped.values())


def test_a_pipe_is_no_prompt(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert problems(tmp_path) == {"pipe.wav": "is not a regular file"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_an_unreadable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0)
    assert problems(tmp_path) == {"locked": "cannot be read: Permission denied"}
