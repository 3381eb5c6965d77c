"""Changes of prompts: what the library and the folder have afterwards, also where a change fails half-way."""

import asyncio
from pathlib import Path

import pytest

from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.playout.prompts.editing.editor import PromptEditor
from mediaserver.playout.prompts.editing.history import History, Version
from mediaserver.playout.prompts.library import PromptLibrary, ReloadResult
from mediaserver.wire.encapsulation import PCM
from tests.playout.prompts.folder import NEW, OLD, encoded, loaded, played_by_new_call, put, refreshed
from tests.virtual import VirtualLoop, in_virtual_time


async def opened(folder: Path, limit: int = 5) -> tuple[PromptLibrary, PromptEditor, list[ReloadResult]]:
    library, changes = await loaded(folder), list[ReloadResult]()
    return library, PromptEditor(library, History(folder, limit), lambda: (PCM,), changes.append), changes


def names(folder: Path) -> list[str]:
    """The files that are no history."""
    found = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return sorted(str(path) for path in found if path.parts[0] != ".history")


@in_virtual_time
async def test_a_change_is_loaded_at_once_and_others_when_they_have_settled(
    tmp_path: Path, loop: VirtualLoop
) -> None:
    folder = tmp_path / "prompts"
    put(folder / "a.wav", OLD)
    put(folder / "b.wav", OLD)
    library, editor, changes = await opened(folder)
    old = played_by_new_call(library, "a")
    put(folder / "b.wav", NEW)
    placed = await editor.put("a", put(tmp_path / "new.wav", NEW), "me")
    assert (placed.is_new, placed.prompt.samples) == (False, len(NEW))
    assert changes == [ReloadResult(replaced=["a"])]
    assert (played_by_new_call(library, "a"), old) == (encoded(NEW), encoded(OLD))
    assert played_by_new_call(library, "b") == encoded(OLD)
    assert await library.refresh() is None
    await asyncio.sleep(1.0)
    assert await library.refresh() == ReloadResult(replaced=["b"])


@in_virtual_time
async def test_all_files_of_a_name_are_replaced_renamed_and_removed(tmp_path: Path, loop: VirtualLoop) -> None:
    folder = tmp_path / "prompts"
    for extension in ("wav", "wave"):
        put(folder / f"a.{extension}", OLD)
    (folder / "a.gsm").write_bytes(b"no frame")
    library, editor, _ = await opened(folder)
    await editor.rename("a", "b")
    assert names(folder) == ["b.gsm", "b.wav", "b.wave"]
    assert (list(library.prompts), library.passed_over(["b"]).keys()) == (["b"], {"b.wave", "b.gsm"})
    await editor.put("b", put(tmp_path / "new.sln", NEW), "me")
    assert names(folder) == ["b.sln"]
    versions = await editor.versions("b")
    assert [(version.path.suffix, version.seconds) for version in versions] == [
        (".wav", 0.2),
        (".wave", None),
        (".gsm", None),
    ]
    await editor.remove("b", "me")
    assert (names(folder), dict(library.prompts)) == ([], {})


@in_virtual_time
async def test_a_file_that_could_not_be_played_is_replaced(tmp_path: Path, loop: VirtualLoop) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "a.mp3").write_text("<html>403</html>" * 9)
    library, editor, _ = await opened(folder)
    assert list(library.problems) == ["a.mp3"]
    placed = await editor.put("a", put(tmp_path / "new.wav", NEW), "me")
    assert (names(folder), library.problems) == (["a.wav"], {})
    assert not placed.is_new
    assert [version.path.suffix for version in await editor.versions("a")] == [".mp3"]


@in_virtual_time
async def test_a_change_that_fails_before_its_last_step_leaves_the_old_prompt(
    tmp_path: Path, loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "prompts"
    put(folder / "a.wav", OLD)
    library, editor, changes = await opened(folder)
    upload = put(tmp_path / "new.sln", NEW)

    def fail(*_: object) -> None:
        raise OSError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", fail)
        with pytest.raises(OSError, match="the disk is full"):
            await editor.put("a", upload, "me")
    assert (names(folder), played_by_new_call(library, "a"), changes) == (["a.wav"], encoded(OLD), [])
    assert await editor.versions("a") == []
    assert (await editor.put("a", upload, "me")).prompt.path == folder / "a.sln"
    with monkeypatch.context() as patched:  # as if the process had ended after the new file was there
        patched.setattr(Path, "unlink", fail)
        with pytest.raises(OSError, match="the disk is full"):
            await editor.put("a", put(tmp_path / "new.wav", OLD), "me")
    assert names(folder) == ["a.sln", "a.wav"]
    assert played_by_new_call(library, "a") == encoded(OLD)
    await editor.put("a", put(tmp_path / "new.wav", NEW), "me")
    assert names(folder) == ["a.wav"]


@in_virtual_time
async def test_of_a_removal_that_stops_half_way_nothing_is_lost(
    tmp_path: Path, loop: VirtualLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, unlink = tmp_path / "prompts", Path.unlink
    for extension in ("wav", "wave"):
        put(folder / f"a.{extension}", OLD)
    library, editor, _ = await opened(folder)

    def fail_at_the_second(path: Path, missing_ok: bool = False) -> None:
        if path == folder / "a.wave":
            raise OSError("the disk fails")
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", fail_at_the_second)
        with pytest.raises(OSError, match="the disk fails"):
            await editor.remove("a", "me")
    assert (names(folder), library.prompts["a"].path) == (["a.wave"], folder / "a.wave")
    assert [version.path.suffix for version in await editor.versions("a")] == [".wav"]


@in_virtual_time
async def test_what_is_restored_is_a_file_of_its_own(tmp_path: Path, loop: VirtualLoop) -> None:
    """Whoever writes into a prompt's file in place must not write into the history."""
    folder = tmp_path / "prompts"
    put(folder / "a.wav", OLD)
    library, editor, _ = await opened(folder)
    await editor.put("a", put(tmp_path / "new.wav", NEW), "me")
    (version,) = await editor.versions("a")
    await editor.restore("a", version.version, "me")
    assert (folder / "a.wav").stat().st_nlink == 1
    put(folder / "a.wav", NEW[:800])
    assert await refreshed(library) == ReloadResult(replaced=["a"])
    (undo,) = await editor.versions("a")
    await editor.restore("a", undo.version, "me")
    assert played_by_new_call(library, "a") == encoded(NEW)


@in_virtual_time
async def test_two_that_restore_one_version_do_not_both_get_it(tmp_path: Path, loop: VirtualLoop) -> None:
    put(tmp_path / "prompts/a.wav", OLD)
    library, editor, _ = await opened(tmp_path / "prompts")
    await editor.put("a", put(tmp_path / "new.wav", NEW), "me")
    (version,) = await editor.versions("a")
    results = await asyncio.gather(
        *(editor.restore("a", version.version, "me") for _ in range(2)), return_exceptions=True
    )
    (refused,) = [each for each in results if isinstance(each, BaseException)]
    assert isinstance(refused, RefusedError)
    assert refused.reason == RefusalReason.UNKNOWN_VERSION
    assert played_by_new_call(library, "a") == encoded(OLD)


@in_virtual_time
async def test_links_are_followed_in_the_folder_and_not_out_of_it(tmp_path: Path, loop: VirtualLoop) -> None:
    folder = tmp_path / "prompts"
    put(folder / "en_US/a.wav", OLD)
    for link, target in (("en", "en_US"), ("past", ".history"), ("out", tmp_path)):
        (folder / link).symlink_to(target)
    _, editor, _ = await opened(folder)
    await editor.put("en/a", put(tmp_path / "new.wav", NEW), "me")
    assert names(folder / "en_US") == ["a.wav"]
    for name in ("out/b", "past/b"):
        with pytest.raises(RefusedError, match="leads out of the folder") as refused:
            await editor.put(name, put(tmp_path / "new.wav", NEW), "me")
        assert refused.value.status == 409
    assert not (tmp_path / "b.wav").exists()


class PrunedMeanwhile(History):
    """A history whose versions another request prunes as soon as they are listed."""

    def versions(self, name: str) -> list[Version]:
        found = super().versions(name)
        for version in found:
            version.path.unlink()
        return found


@in_virtual_time
async def test_a_version_that_was_just_pruned_is_not_there(tmp_path: Path, loop: VirtualLoop) -> None:
    folder = tmp_path / "prompts"
    put(folder / "a.wav", OLD)
    library, editor, changes = await opened(folder)
    await editor.put("a", put(tmp_path / "new.wav", NEW), "me")
    (version,) = await editor.versions("a")
    late = PromptEditor(library, PrunedMeanwhile(folder, 5), lambda: (PCM,), changes.append)
    with pytest.raises(RefusedError, match=f'the prompt "a" has no version {version.version}') as refused:
        await late.restore("a", version.version, "me")
    assert refused.value.status == 404
    assert played_by_new_call(library, "a") == encoded(NEW)


@in_virtual_time
async def test_folders_that_are_left_empty_are_removed(tmp_path: Path, loop: VirtualLoop) -> None:
    folder = tmp_path / "prompts"
    for name in ("one/two/three/a", "one/two/b"):
        put(folder / f"{name}.wav", OLD)
    (folder / "empty").mkdir()
    _, editor, _ = await opened(folder, limit=0)

    def folders() -> list[str]:
        found = [path.relative_to(folder) for path in folder.rglob("*") if path.is_dir()]
        return sorted(str(path) for path in found if path.parts[0] != ".history")

    await editor.rename("one/two/three/a", "one/two/a")
    assert folders() == ["empty", "one", "one/two"]
    await editor.remove("one/two/b", "me")
    assert folders() == ["empty", "one", "one/two"]
    await editor.rename("one/two/a", "a")
    assert folders() == ["empty"]
    await editor.remove("a", "me")
    assert folders() == ["empty"]


@in_virtual_time
async def test_what_stands_in_a_prompt_s_place_is_a_conflict(tmp_path: Path, loop: VirtualLoop) -> None:
    folder = tmp_path / "prompts"
    put(folder / "beep.wav", OLD)
    (folder / "dir.wav").mkdir()
    library, editor, _ = await opened(folder)
    for name, why in (
        ("beep.wav/x", "beep.wav cannot be a folder"),
        ("beep.wav/x/y", "x cannot be a folder"),
        ("dir", "dir.wav is a folder"),
    ):
        for change in (
            lambda name=name: editor.put(name, put(tmp_path / "new.wav", NEW), "me"),
            lambda name=name: editor.rename("beep", name),
        ):
            with pytest.raises(RefusedError, match=why) as refused:
                await change()
            assert refused.value.status == 409
    assert (names(folder), list(library.prompts)) == (["beep.wav"], ["beep"])


@in_virtual_time
async def test_a_sound_without_samples_is_no_prompt(tmp_path: Path, loop: VirtualLoop) -> None:
    library, editor, _ = await opened(tmp_path / "prompts")
    (tmp_path / "none.ulaw").write_bytes(b"")
    for file in (tmp_path / "none.ulaw", put(tmp_path / "none.wav", NEW[:0])):
        with pytest.raises(RefusedError, match="the file is empty: it has no samples") as refused:
            await editor.put("a", file, "me")
        assert refused.value.status == 422
    assert dict(library.prompts) == {}


@in_virtual_time
async def test_a_history_that_cannot_be_pruned_undoes_no_change(tmp_path: Path, loop: VirtualLoop) -> None:
    (tmp_path / "prompts").mkdir()
    library, editor, _ = await opened(tmp_path / "prompts")
    (tmp_path / "prompts" / ".history").write_text("a file, where a folder should be")
    assert (await editor.put("a", put(tmp_path / "new.wav", NEW), "me")).is_new
    assert played_by_new_call(library, "a") == encoded(NEW)
