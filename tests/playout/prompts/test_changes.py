"""A prompt folder that is gone, unmounted, emptied, replaced, or cannot be read."""

import os
from pathlib import Path

import pytest

from mediaserver.playout.prompts.change_detector import ChangeDetector
from mediaserver.playout.prompts.library import ReloadResult
from mediaserver.playout.prompts.scan import ABSENT, FileSnapshot, FolderScan
from tests.playout.prompts.folder import NEW, OLD, encoded, loaded, played_by_new_call, put, refreshed
from tests.virtual import VirtualLoop, in_virtual_time


@in_virtual_time
async def test_a_folder_that_is_gone_leaves_its_prompts_and_is_reported_once(
    tmp_path: Path, loop: VirtualLoop
) -> None:
    folder = tmp_path / "prompts"
    put(folder / "a.wav", OLD)
    put(folder / "b.wav", OLD)
    library = await loaded(folder)
    folder.rename(tmp_path / "away")
    gone = {".": "cannot be read: No such file or directory"}
    assert await refreshed(library) == ReloadResult(failed=gone)
    assert await refreshed(library) is None
    assert library.problems == gone
    assert played_by_new_call(library, "a") == encoded(OLD)
    put(tmp_path / "away/a.wav", NEW)
    (tmp_path / "away/b.wav").unlink()
    (tmp_path / "away").rename(folder)
    assert await refreshed(library) == ReloadResult(replaced=["a"], removed=["b"], readable_again=["."])
    assert library.problems == {}


@in_virtual_time
async def test_a_mount_point_without_its_mount_leaves_the_prompts(tmp_path: Path, loop: VirtualLoop) -> None:
    folder = tmp_path / "prompts"
    put(folder / "a.wav", OLD)
    library = await loaded(folder)
    folder.rename(tmp_path / "away")
    folder.mkdir()
    assert await refreshed(library) == ReloadResult(
        failed={".": "was replaced by an empty folder: is its file system still mounted?"}
    )
    assert played_by_new_call(library, "a") == encoded(OLD)
    folder.rmdir()
    (tmp_path / "away").rename(folder)
    assert await refreshed(library) == ReloadResult(readable_again=["."])
    assert library.problems == {}


@in_virtual_time
async def test_a_folder_that_is_emptied_has_no_prompts(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path)
    path.unlink()
    assert await refreshed(library) == ReloadResult(removed=["a"])


@pytest.mark.parametrize("by", ["rename", "link", "data-link"])
@in_virtual_time
async def test_a_folder_in_another_s_place_is_loaded(tmp_path: Path, by: str, loop: VirtualLoop) -> None:
    put(tmp_path / "one/a.wav", OLD)
    put(tmp_path / "two/a.wav", NEW)
    folder, link, fresh = tmp_path / "prompts", tmp_path / "prompts", tmp_path / "fresh"
    if by == "rename":
        (tmp_path / "one").rename(folder)
    else:
        if by == "data-link":  # as Kubernetes mounts a ConfigMap
            folder.mkdir()
            link = folder / "..data"
            (folder / "a.wav").symlink_to("..data/a.wav")
        link.symlink_to(tmp_path / "one")
    library = await loaded(folder)
    assert played_by_new_call(library, "a") == encoded(OLD)
    if by == "rename":
        folder.rename(tmp_path / "old")
        (tmp_path / "two").rename(folder)
    else:
        fresh.symlink_to(tmp_path / "two")
        fresh.replace(link)
    assert await refreshed(library) == ReloadResult(replaced=["a"])
    assert played_by_new_call(library, "a") == encoded(NEW)


def test_a_change_is_unsettled_until_its_file_is_loaded() -> None:
    changes, file = ChangeDetector(), FileSnapshot(Path("a.wav"), {}, (None,))
    scan = FolderScan({"a": file}, [], (1, 1))
    assert changes.settled_changes(scan, 0.0, 5.0) == {}
    assert changes.has_unsettled
    assert changes.settled_changes(scan, 5.0, 5.0) == {"a": file}
    changes.mark_loaded("a", file)
    assert not changes.has_unsettled


def test_files_in_a_folder_that_cannot_be_read_do_not_count_as_removed() -> None:
    changes = ChangeDetector()
    inside, other = (FileSnapshot(Path(name), {}, (None,)) for name in ("music/a.wav", "b.wav"))
    unreadable = FileSnapshot(None, {"music": "cannot be read: Permission denied"}, ())
    for name, file in {"music/a": inside, "b": other}.items():
        changes.mark_loaded(name, file)
    scan = FolderScan({"music/": unreadable}, [], (1, 1))
    assert changes.settled_changes(scan, 0.0, 0.0) == {"music/": unreadable, "b": ABSENT}
    changes.mark_loaded("music/", unreadable)
    changes.mark_loaded("b", ABSENT)
    assert changes.settled_changes(scan, 1.0, 0.0) == {}
    assert changes.settled_changes(FolderScan({"music/a": inside}, [], (1, 1)), 2.0, 0.0) == {"music/": ABSENT}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
@in_virtual_time
async def test_folders_that_are_readable_again_are_reported_as_paths(tmp_path: Path, loop: VirtualLoop) -> None:
    put(tmp_path / "music/a.wav", OLD)
    library = await loaded(tmp_path)
    (tmp_path / "music").chmod(0)
    assert await refreshed(library) == ReloadResult(failed={"music": "cannot be read: Permission denied"})
    (tmp_path / "music").chmod(0o755)
    assert await refreshed(library) == ReloadResult(readable_again=["music"])
