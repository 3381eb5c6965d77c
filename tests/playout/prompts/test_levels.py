"""What the store and the library tell of prompts: a speech level, facts, files that are passed over."""

import asyncio
from pathlib import Path

import pytest

from mediaserver.audio.level.active_level import active_level
from mediaserver.errors import PromptError
from mediaserver.playout.prompts.library import ReloadResult
from mediaserver.wire.encapsulation import PCM
from tests.playout.prompts.folder import NEW, OLD, InlinePool, encoded, loaded, put, refreshed
from tests.sound import speechlike
from tests.virtual import VirtualLoop, in_virtual_time


@in_virtual_time
async def test_a_level_is_measured_once_for_all_who_ask(tmp_path: Path, loop: VirtualLoop) -> None:
    voice = speechlike(24_000)
    put(tmp_path / "a.wav", voice)
    library = await loaded(tmp_path)
    prompt = library.prompts["a"]
    waiting = asyncio.create_task(library.store.measure_level(prompt))
    asked = [asyncio.create_task(library.store.measure_level(prompt)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting.cancel()  # one who gives up leaves the others their answer
    levels = [*await asyncio.gather(*asked), await library.store.measure_level(prompt)]
    assert levels == [pytest.approx(active_level(voice), abs=0.01)] * 3
    assert isinstance(library.pool, InlinePool)
    assert library.pool.measured == ["a.wav"]


@pytest.mark.parametrize("change", ["gone", "replaced"])
@in_virtual_time
async def test_the_level_of_an_old_prompt_is_its_loudness(tmp_path: Path, change: str, loop: VirtualLoop) -> None:
    """Its file cannot be measured any more, or has the new sound."""
    path = put(tmp_path / "a.wav", speechlike(24_000))
    library = await loaded(tmp_path)
    prompt = library.prompts["a"]
    path.unlink()
    if change == "replaced":
        put(path, speechlike(24_000) // 8)
        assert await refreshed(library) == ReloadResult(replaced=["a"])
    assert await library.store.measure_level(prompt) == prompt.info.loudness_lufs


@in_virtual_time
async def test_files_that_are_passed_over_are_told_with_the_file_that_is_played(
    tmp_path: Path, loop: VirtualLoop
) -> None:
    put(tmp_path / "music/b.wav", OLD)
    for name in ("music/b.sln", "music/b.raw", "a.sln"):
        (tmp_path / name).write_bytes(bytes(320))
    library = await loaded(tmp_path)
    assert library.passed_over(["music/b", "a", "unknown"]) == {
        "music/b.raw": "music/b.wav",
        "music/b.sln": "music/b.wav",
    }
    assert library.passed_over(["a"]) == {}
    assert library.warnings(["a", "unknown"]) == []


@in_virtual_time
async def test_a_sound_file_that_is_no_prompt_is_decoded_or_named(tmp_path: Path, loop: VirtualLoop) -> None:
    (tmp_path / "prompts").mkdir()
    library = await loaded(tmp_path / "prompts")
    sound = await library.decode(put(tmp_path / "a.wav", NEW))
    assert sound.get_frames(PCM) == encoded(NEW)
    with pytest.raises(PromptError, match=rf"^{tmp_path}/b\.wav cannot be read: No such file or directory$"):
        await library.decode(tmp_path / "b.wav")


@in_virtual_time
async def test_the_future_of_an_encoding_is_shared_until_it_is_done(tmp_path: Path, loop: VirtualLoop) -> None:
    put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path, encodings=())
    prompt = library.prompts["a"]
    first = prompt.get_frames(PCM)
    assert isinstance(first, asyncio.Future)
    assert prompt.get_frames(PCM) is first
    assert await first == encoded(OLD)
    assert prompt.get_frames(PCM) is first.result()
