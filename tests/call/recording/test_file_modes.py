"""Modes of the files that calls leave: as configured, whatever the umask is."""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mediaserver.call import FileModes
from mediaserver.call.recording.file_modes import make_folders
from mediaserver.call.recording.wav_writer import WavFile
from mediaserver.handlers.common import files
from mediaserver.handlers.common.transcript import Caption, Line, TranscriptFile
from mediaserver.handlers.record import Record


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct, autouse=True)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def record(path: Path, modes: FileModes) -> None:
    file = WavFile(path, 1, modes)
    file.append(bytes(320))
    file.close()


def report(path: Path, modes: FileModes) -> None:
    for _ in range(2):
        files.append_json_lines(path.parent, path, [{}], modes)


def transcribe(path: Path, modes: FileModes) -> None:
    TranscriptFile(path.parents[1], path, modes).append([Line({}, Caption(0, 1, "Hello."))])


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("write", [record, report, transcribe])
@pytest.mark.parametrize("modes", [FileModes(), FileModes(0o600, 0o700), FileModes(0o664, 0o775)])
def test_files_and_folders(tmp_path: Path, write: Callable[[Path, FileModes], None], modes: FileModes) -> None:
    there = tmp_path / "there"
    there.mkdir()
    there.chmod(0o711)
    write(there / "calls/deep/a.wav", modes)
    assert {mode(file) for file in (there / "calls/deep").iterdir()} == {modes.file}
    assert [mode(there / "calls"), mode(there / "calls/deep")] == [modes.directory] * 2
    assert mode(there) == 0o711  # it was there


def test_a_folder_inherits_the_set_group_id_bit(tmp_path: Path) -> None:
    """Who collects recordings may be in that group, and not in ours."""
    tmp_path.chmod(0o2775)
    make_folders(tmp_path / "a/b", FileModes())
    for folder in ("a", "a/b"):
        assert stat.S_IMODE((tmp_path / folder).stat().st_mode) == 0o2750


def test_a_file_system_without_modes_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "fchmod", refuse)
    monkeypatch.setattr(Path, "chmod", refuse)
    record(tmp_path / "calls/deep/a.wav", FileModes())
    assert (tmp_path / "calls/deep/a.wav").stat().st_size == 44 + 320


def test_folders_that_another_stream_makes_meanwhile_are_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = Path.mkdir

    def late(folder: Path, mode: int) -> None:
        if folder.name != "c":
            make(folder)
        make(folder, mode)

    monkeypatch.setattr(Path, "mkdir", late)
    make_folders(tmp_path / "a/b/c", FileModes())
    assert mode(tmp_path / "a/b/c") == 0o750


def test_a_file_in_place_of_a_folder_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("in the way")
    with pytest.raises(FileExistsError):
        make_folders(tmp_path / "a/b", FileModes())


def test_the_settings_are_octal_in_quotes() -> None:
    assert Record().modes == FileModes(0o640, 0o750)
    assert Record(file_mode="0600", directory_mode="700").modes == FileModes(0o600, 0o700)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"file_mode": "rw-r-----"}, 'should be an octal mode with "0600" in it, such as "0640"'),
        ({"file_mode": "0440"}, 'should be an octal mode with "0600" in it, such as "0640"'),
        ({"directory_mode": "0640"}, 'should be an octal mode with "0700" in it, such as "0750"'),
        ({"file_mode": 640}, "valid string"),
    ],
)
def test_a_wrong_mode_is_a_mistake(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Record.model_validate(settings)
