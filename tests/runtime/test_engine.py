"""What the engine logs for the operator."""

from pathlib import Path

from structlog.testing import capture_logs

from mediaserver.config.settings import EventSettings, PromptSettings, Settings
from mediaserver.routing.configuration import Configuration
from mediaserver.runtime.engine import Engine
from tests.sound import speechlike, write_wav


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
        ("the prompt folder is gone: all prompts stay as they were", str(folder)),
        ("the prompt folder can be read again", str(folder)),
    ]
    assert engine.configuration.missing_prompts(engine.library) == []
    assert list(engine.library.prompts) == ["a"]


async def test_a_misspelt_event_type_is_logged_at_the_start_and_at_each_reload(tmp_path: Path) -> None:
    events = EventSettings(types=("digitz", "digits", "order.placed"))
    settings = Settings(prompts=PromptSettings(directory=tmp_path, cache="off"), events=events, paths={})
    told = {
        "event": "an event type is unknown",
        "why": 'c: events.types: no event of ours is "digitz" (did you mean "digits"?)',
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
