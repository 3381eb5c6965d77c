"""The old versions of prompts: their order, their number, and the files that they are."""

import errno
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mediaserver.playout.prompts.editing.history import FOLDER, History, move
from mediaserver.playout.prompts.scan import scan_folder

BEGIN = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> datetime:
        return self.now


def history(folder: Path, limit: int = 3) -> tuple[History, Clock]:
    clock = Clock()
    return History(folder, limit, clock), clock


def keep(kept: History, folder: Path, name: str, content: bytes, seconds: float | None = 1.5) -> None:
    file = folder / "now.wav"
    file.write_bytes(content)
    kept.keep(file, name, seconds, "replaced", "studio")
    file.unlink()


def contents(kept: History, name: str) -> list[bytes]:
    return [version.path.read_bytes() for version in kept.versions(name)]


def test_a_version_has_its_facts_in_its_name(tmp_path: Path) -> None:
    kept, _ = history(tmp_path)
    keep(kept, tmp_path, "music/hold", b"sound")
    (version,) = kept.versions("music/hold")
    assert version.path == tmp_path / ".history/music%2Fhold/20260504T093000.000000Z,1.500,replaced,studio.wav"
    assert version.describe() == {
        "version": "20260504T093000.000000Z",
        "until": "2026-05-04T09:30:00.000Z",
        "change": "replaced",
        "by": "studio",
        "duration_s": 1.5,
        "bytes": 5,
        "type": "wav",
    }


def test_the_newest_comes_first_also_where_the_clock_stands_or_is_set_back(tmp_path: Path) -> None:
    kept, clock = history(tmp_path)
    for number in range(3):
        keep(kept, tmp_path, "a", b"%d" % number)
        clock.now -= timedelta(hours=1)
    assert contents(kept, "a") == [b"2", b"1", b"0"]
    assert [version.until - BEGIN for version in kept.versions("a")] == [
        timedelta(microseconds=each) for each in (2, 1, 0)
    ]


def test_the_oldest_beyond_the_limit_are_removed(tmp_path: Path) -> None:
    kept, _ = history(tmp_path, limit=2)
    for number in range(4):
        keep(kept, tmp_path, "a", b"%d" % number)
    kept.prune("a")
    assert contents(kept, "a") == [b"3", b"2"]
    none, _ = history(tmp_path, limit=0)
    keep(none, tmp_path, "a", b"4")
    none.prune("a")
    assert none.versions("a") == []
    assert list((tmp_path / FOLDER).iterdir()) == []


def test_prompts_whose_names_are_alike_have_versions_of_their_own(tmp_path: Path) -> None:
    kept, _ = history(tmp_path)
    names = ["a/b", "a%2Fb", "a", "a%b"]
    for name in names:
        keep(kept, tmp_path, name, name.encode(), None)
    assert [contents(kept, name) for name in names] == [[name.encode()] for name in names]
    assert kept.versions("a")[0].seconds is None


def test_what_is_no_version_is_left_alone(tmp_path: Path) -> None:
    kept, _ = history(tmp_path)
    folder = tmp_path / FOLDER / "a"
    folder.mkdir(parents=True)
    for name in ("note.txt", ".x.part", "20260504T093000.000000Z,,replaced,studio.exe"):
        (folder / name).write_bytes(b"x")
    assert kept.versions("a") == []
    kept.prune("a")
    assert len(list(folder.iterdir())) == 3


def test_versions_are_no_prompts(tmp_path: Path) -> None:
    kept, _ = history(tmp_path)
    keep(kept, tmp_path, "a", b"x")
    assert scan_folder(tmp_path).files == {}


def test_versions_go_with_a_prompt_that_is_renamed(tmp_path: Path) -> None:
    kept, clock = history(tmp_path, limit=2)
    for name in ("old", "new", "old"):
        clock.now += timedelta(seconds=1)
        keep(kept, tmp_path, name, f"{name} {clock.now.second}".encode())
    kept.rename("old", "new")
    assert contents(kept, "old") == []
    assert contents(kept, "new") == [b"old 3", b"new 2"]
    assert not (tmp_path / FOLDER / "old").exists()


def test_where_there_are_no_links_a_version_is_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EPERM, "the file system has no links")

    kept, _ = history(tmp_path)
    monkeypatch.setattr(os, "link", refuse)
    keep(kept, tmp_path, "a", b"sound")
    assert contents(kept, "a") == [b"sound"]
    assert [path.name for path in (tmp_path / FOLDER / "a").iterdir()] == [kept.versions("a")[0].path.name]


def test_a_file_is_moved_to_another_file_system(tmp_path: Path) -> None:
    memory = Path("/dev/shm")  # noqa: S108 - another file system is what the test is of
    if not memory.is_dir() or memory.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    source, target = memory / f"mediaserver-{os.getpid()}.wav", tmp_path / "a.wav"
    source.write_bytes(b"new")
    target.write_bytes(b"old")
    move(source, target)
    assert target.read_bytes() == b"new"
    assert not source.exists()
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]
