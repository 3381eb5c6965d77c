"""What a scan of a prompt folder finds."""

import os
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


def test_two_files_of_one_name_are_both_reported(tmp_path: Path) -> None:
    for name in ("a.wav", "a.mp3", "b.wav"):
        (tmp_path / name).write_bytes(b"x")
    assert playable(tmp_path) == ["b"]
    assert problems(tmp_path) == {
        "a.mp3": 'has the same name, "a", as a.wav',
        "a.wav": 'has the same name, "a", as a.mp3',
    }


def test_a_name_is_the_same_however_its_accents_are_stored(tmp_path: Path) -> None:
    (tmp_path / "gru\u0308n.wav").write_bytes(b"x")  # as macOS writes it
    assert playable(tmp_path) == ["gr\u00fcn"]


def test_links_are_followed_but_not_for_ever(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real/a.wav").write_bytes(b"x")
    (tmp_path / "real/up").symlink_to(tmp_path)
    (tmp_path / "b.wav").symlink_to(tmp_path / "real/a.wav")
    assert playable(tmp_path) == ["b", "real/a"]


def test_a_pipe_is_no_prompt(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wav")
    assert problems(tmp_path) == {"pipe.wav": "is not a regular file"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
async def test_an_unreadable_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "locked").mkdir(mode=0)
    assert problems(tmp_path) == {"locked": "cannot be read: Permission denied"}
