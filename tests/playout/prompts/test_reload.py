"""Loading a prompt folder, and reloading files that are added, replaced, removed or broken."""

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mediaserver.audio.pcm import to_bytes
from mediaserver.errors import PromptError
from mediaserver.playout.decoding.decode import decode_file
from mediaserver.playout.prompts.encoded_frames import EncodedFrames
from mediaserver.playout.prompts.library import PromptLibrary, ReloadResult
from mediaserver.wire.encapsulation import L16, MESSAGE, PCM, PCMA, PCMU
from tests.playout.prompts.folder import (
    NEW,
    OLD,
    InlinePool,
    TimedPool,
    encoded,
    loaded,
    played_by_new_call,
    put,
    refreshed,
)
from tests.virtual import VirtualLoop, in_virtual_time

# -- loading a folder ---------------------------------------------------------------------------------------------


@in_virtual_time
async def test_prompts_are_published_ten_times_a_second_and_at_the_end(tmp_path: Path, loop: VirtualLoop) -> None:
    for ms in (40, 80, 100, 160):
        put(tmp_path / f"{ms}.wav", OLD)
    library, progress = PromptLibrary(tmp_path, 1_000_000, TimedPool()), []
    await library.load((PCM,), lambda done, total: progress.append((done, total, sorted(library.prompts))))
    some = ["100", "40", "80"]
    assert progress == [(0, 4, []), (1, 4, []), (2, 4, []), (3, 4, some), (4, 4, some)]
    assert sorted(library.prompts) == ["100", "160", "40", "80"]


@in_virtual_time
async def test_a_prompt_describes_its_file(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "music/a.wav", OLD)
    prompt = (await loaded(tmp_path)).prompts["music/a"]
    assert (prompt.name, prompt.path, prompt.samples) == ("music/a", path, 1600)
    decoded = decode_file(path)
    assert prompt.info == ("WAV 8000 Hz 16-bit mono", decoded.peak_dbfs, decoded.loudness_lufs, ())


def test_before_the_first_scan_there_are_no_prompts_and_no_problems(tmp_path: Path) -> None:
    library = PromptLibrary(tmp_path, 1_000_000, InlinePool())
    assert (library.folder, library.folder_problem, library.ignored, library.has_unsettled_changes) == (
        None,
        "",
        [],
        False,
    )
    assert (library.prompts, library.problems) == ({}, {})


@in_virtual_time
async def test_a_missing_folder_is_a_problem_of_the_folder_and_of_no_file(
    tmp_path: Path, loop: VirtualLoop
) -> None:
    library = await loaded(tmp_path / "nowhere")
    assert (library.folder_problem, library.problems, library.prompts) == ("is not a folder", {}, {})


@in_virtual_time
async def test_a_sound_file_anywhere_is_decoded_or_the_error_names_it(tmp_path: Path, loop: VirtualLoop) -> None:
    (tmp_path / "prompts").mkdir()
    library = await loaded(tmp_path / "prompts")
    sound = (await library.decode(put(tmp_path / "a.wav", OLD))).get_frames(PCM)
    assert EncodedFrames(tuple(sound.frames), sound.samples) == encoded(OLD)
    assert library.prompts == {}
    broken = tmp_path / "b.wav"
    broken.write_bytes(b"no sound")
    with pytest.raises(PromptError, match=rf"^{broken} is not a WAV file"):
        await library.decode(broken)


# -- what happens to a file ---------------------------------------------------------------------------------------


@in_virtual_time
async def test_an_added_file_is_a_prompt(tmp_path: Path, loop: VirtualLoop) -> None:
    put(tmp_path / "b.wav", OLD)
    library = await loaded(tmp_path)
    version = library.snapshot.version
    put(tmp_path / "music/a.wav", NEW)
    put(tmp_path / "a.wav", NEW)
    assert await refreshed(library) == ReloadResult(added=["a", "music/a"])
    assert played_by_new_call(library, "music/a") == encoded(NEW)
    assert sorted(library.prompts) == ["a", "b", "music/a"]
    assert library.snapshot.version > version


@in_virtual_time
async def test_a_replaced_file_is_heard_by_new_calls_at_once_in_all_encodings(
    tmp_path: Path, loop: VirtualLoop
) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path, encodings=(PCM, PCMU))
    await library.store._encode(library.prompts["a"], MESSAGE)  # a call asked for it
    put(path, NEW)
    assert await refreshed(library, (PCM, L16)) == ReloadResult(replaced=["a"])
    misses = library.store.cache.misses
    for encoding in (PCM, PCMU, MESSAGE, L16):
        assert played_by_new_call(library, "a", encoding) == encoded(NEW, encoding)
    assert library.store.cache.misses == misses
    assert library.store.cache.bytes == sum(encoded(NEW, each).size for each in (PCM, PCMU, MESSAGE, L16))


@in_virtual_time
async def test_a_removed_file_is_no_prompt(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path)
    version = library.snapshot.version
    path.unlink()
    assert await refreshed(library) == ReloadResult(removed=["a"])
    with pytest.raises(PromptError, match='no prompt "a"'):
        library.snapshot.get("a")
    assert library.store.cache.bytes == 0
    assert library.snapshot.version > version


@in_virtual_time
async def test_a_renamed_folder_renames_its_prompts(tmp_path: Path, loop: VirtualLoop) -> None:
    put(tmp_path / "music/a.wav", OLD)
    library = await loaded(tmp_path)
    (tmp_path / "music").rename(tmp_path / "songs")
    assert await refreshed(library) == ReloadResult(added=["songs/a"], removed=["music/a"])
    assert [prompt.name for prompt in library.snapshot.match(["*"])] == ["songs/a"]


@in_virtual_time
async def test_nothing_changes_where_nothing_changed(tmp_path: Path, loop: VirtualLoop) -> None:
    put(tmp_path / "a.wav", OLD)
    (tmp_path / "b.wav").write_bytes(b"no sound")
    library = await loaded(tmp_path)
    before = library.snapshot.version, library.pool.decodes, library.snapshot.get("a")
    for _ in range(3):
        assert await library.refresh(settle=1.0) is None
        assert not library.has_unsettled_changes
        await asyncio.sleep(1)
    assert (library.snapshot.version, library.pool.decodes, library.snapshot.get("a")) == before


@in_virtual_time
async def test_a_file_of_the_same_size_and_time_is_known_by_its_inode(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path)
    was = path.stat()
    put(tmp_path / "copy", OLD[::-1])
    os.utime(tmp_path / "copy", ns=(was.st_atime_ns, was.st_mtime_ns))
    (tmp_path / "copy").replace(path)
    assert await refreshed(library) == ReloadResult(replaced=["a"])
    assert played_by_new_call(library, "a") == encoded(OLD[::-1])


@in_virtual_time
async def test_a_prompt_may_change_its_file_format(tmp_path: Path, loop: VirtualLoop) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path)
    (tmp_path / "a.sln").write_bytes(to_bytes(NEW))
    assert await library.refresh() is None
    path.unlink()
    assert await refreshed(library) == ReloadResult(replaced=["a"])
    assert played_by_new_call(library, "a") == encoded(NEW)
    assert library.problems == {}


# -- files that cannot be played ----------------------------------------------------------------------------------


def spoil(path: Path) -> str:
    path.write_bytes(b"no sound at all")
    return "is not a WAV file: it does not begin with RIFF....WAVE"


def empty(path: Path) -> str:
    path.write_bytes(b"")
    return "is empty"


def lead_nowhere(path: Path) -> str:
    path.unlink()
    path.symlink_to("nowhere")
    return "cannot be read: No such file or directory"


def put_a_pipe_there(path: Path) -> str:
    path.unlink()
    os.mkfifo(path)
    return "is not a regular file"


@pytest.mark.parametrize("breaking", [spoil, empty, lead_nowhere, put_a_pipe_there])
@in_virtual_time
async def test_a_broken_replacement_leaves_the_prompt_until_it_is_repaired(
    tmp_path: Path, breaking: Callable[[Path], str], loop: VirtualLoop
) -> None:
    path = put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path, encodings=(PCMU,))
    prompt, version = library.snapshot.get("a"), library.snapshot.version
    why = breaking(path)
    assert await refreshed(library) == ReloadResult(failed={"a.wav": why})
    assert library.problems == {"a.wav": why}
    assert library.snapshot.get("a") is prompt
    assert library.snapshot.version == version
    assert played_by_new_call(library, "a", PCMU) == encoded(OLD, PCMU)
    assert [*played_by_new_call(library, "a", PCMA).frames] == [
        PCMA.encode(PCMU.decode(frame)) for frame in encoded(OLD, PCMU).frames
    ]
    decodes = library.pool.decodes
    assert await refreshed(library) is None
    assert library.pool.decodes == decodes  # not tried again as it is
    path.unlink()
    put(path, NEW)
    assert await refreshed(library) == ReloadResult(replaced=["a"])
    assert library.problems == {}
    assert played_by_new_call(library, "a") == encoded(NEW)


@in_virtual_time
async def test_a_second_file_of_the_name_is_passed_over_where_it_is_not_better(
    tmp_path: Path, loop: VirtualLoop
) -> None:
    put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path)
    (tmp_path / "a.sln").write_bytes(to_bytes(NEW))
    assert await refreshed(library) == ReloadResult(replaced=["a"])
    assert (library.problems, library.passed_over(["a"])) == ({}, {"a.sln": "a.wav"})
    assert played_by_new_call(library, "a") == encoded(OLD)
    (tmp_path / "a.wav").unlink()
    assert await refreshed(library) == ReloadResult(replaced=["a"])
    assert library.passed_over(["a"]) == {}
    assert played_by_new_call(library, "a") == encoded(NEW)


@in_virtual_time
async def test_where_the_best_file_is_broken_the_next_one_is_played(tmp_path: Path, loop: VirtualLoop) -> None:
    (tmp_path / "a.sln").write_bytes(b"<!DOCTYPE html><title>403</title>")
    (tmp_path / "a.ulaw").write_bytes(bytes([0xFF]) * 1600)
    (tmp_path / "a.gsm").write_bytes(b"never tried")
    library = await loaded(tmp_path)
    assert library.prompts["a"].path == tmp_path / "a.ulaw"
    assert library.problems == {"a.sln": "is an HTML page, not sound"}
    assert library.passed_over(["a"]) == {"a.gsm": "a.ulaw"}


@in_virtual_time
async def test_a_new_file_that_is_broken_is_reported_and_loaded_when_repaired(
    tmp_path: Path, loop: VirtualLoop
) -> None:
    library = await loaded(tmp_path)
    why = spoil(tmp_path / "a.wav")
    assert await refreshed(library) == ReloadResult(failed={"a.wav": why})
    with pytest.raises(PromptError, match=r'prompt "a" cannot be played: a\.wav is not a WAV file'):
        library.snapshot.get("a")
    put(tmp_path / "a.wav", NEW)
    assert await refreshed(library) == ReloadResult(added=["a"])
    spoil(tmp_path / "b.wav")
    await refreshed(library)
    (tmp_path / "b.wav").unlink()
    assert await refreshed(library) is None
    assert library.problems == {}
