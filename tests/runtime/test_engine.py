"""What the engine logs for the operator, and what it makes ready for callers."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mediaserver.audio.level.active_level import active_level
from mediaserver.audio.pcm import from_bytes
from mediaserver.config.settings import EventSettings, PathSettings, PromptSettings, Settings
from mediaserver.playout.prompts.encoded_frames import EncodedFrames
from mediaserver.playout.sources.levelled import LevelledPrompt
from mediaserver.routing.configuration import Configuration
from mediaserver.runtime.engine import Engine
from mediaserver.wire.encapsulation import PCMU
from tests.sound import speechlike, voice, write_wav
from tests.timing import PATIENCE


async def test_a_prompt_folder_that_is_gone_and_comes_back_is_logged_once_each(tmp_path: Path) -> None:
    folder, away = tmp_path / "prompts", tmp_path / "away"
    write_wav(folder / "a.wav", speechlike(160))
    prompts = PromptSettings(directory=folder, cache="off")
    engine = Engine(Settings(prompts=prompts, paths={}), "c")
    try:
        await engine.load()
        with capture_logs() as logged:
            folder.rename(away)
            await engine.prompts.refresh()
            await engine.prompts.refresh()
            assert engine.configuration.missing_prompts(engine.library) == [
                f"c: prompts.directory: {folder} is not a folder"
            ]
            away.rename(folder)
            await engine.prompts.refresh()
            await engine.prompts.refresh()
    finally:
        await engine.close()
    assert [(line["event"], line["folder"]) for line in logged] == [
        ("prompt folder unreadable", str(folder)),
        ("prompt folder readable again", str(folder)),
    ]
    assert engine.configuration.missing_prompts(engine.library) == []
    assert list(engine.library.prompts) == ["a"]


async def test_a_misspelt_event_type_is_logged_at_the_start_and_at_each_reload(tmp_path: Path) -> None:
    events = EventSettings(types=("digitz", "digits", "order.placed"))
    settings = Settings(prompts=PromptSettings(directory=tmp_path, cache="off"), events=events, paths={})
    told = {
        "event": "event type unknown",
        "why": 'c: events.types: unknown event type "digitz" (did you mean "digits"?)',
        "log_level": "warning",
    }
    engine = Engine(settings, "c")
    try:
        with capture_logs() as at_start:
            await engine.load()
        with capture_logs() as at_reload:
            engine.apply_configuration(Configuration.build(settings, "c"))
    finally:
        await engine.close()
    assert [line for line in at_start if line["event"] == told["event"]] == [told]
    assert at_reload == [told]


async def test_a_folder_that_cannot_be_written_is_logged_at_the_start(tmp_path: Path) -> None:
    """Before the first recording fails: `check` may not have been run."""
    (tmp_path / "file").write_text("no folder")
    paths = {"/a": PathSettings.model_validate({"handler": "record", "directory": str(tmp_path / "file/sub")})}
    prompts = PromptSettings(directory=tmp_path, cache="off")
    engine = Engine(Settings(prompts=prompts, paths=paths), "c")
    try:
        with capture_logs() as logged:
            await engine.load()
    finally:
        await engine.close()
    why = f'c: paths."/a": directory: {tmp_path}/file/sub cannot be written: Not a directory'
    told = {"event": "folder not writable", "why": why, "log_level": "warning"}
    assert [line for line in logged if line["event"] == told["event"]] == [told]


async def test_backgrounds_are_at_their_level_before_calls_come_and_after_a_reload(tmp_path: Path) -> None:
    file = write_wav(tmp_path / "a.wav", voice(16_000))
    paths = {"/a": PathSettings(handler="silence", encapsulation="rtp", background="a", background_level=-40.0)}
    engine = Engine(Settings(prompts=PromptSettings(directory=tmp_path, cache="off"), paths=paths), "c")
    try:
        await engine.load()
        for samples in (16_000, 12_000):
            background = LevelledPrompt(engine.library.prompts["a"], -40.0)
            async with asyncio.timeout(PATIENCE):
                while not isinstance(frames := background.get_frames(PCMU), EncodedFrames):
                    assert samples == 12_000, "not there before calls come"
                    await asyncio.sleep(0.01)
            assert background.samples == samples
            heard = from_bytes(b"".join(map(PCMU.decode, frames.frames)))
            assert active_level(heard) == pytest.approx(-40.0, abs=0.2)
            write_wav(file, voice(12_000) // 3)
            await engine.prompts.refresh()
    finally:
        await engine.close()
