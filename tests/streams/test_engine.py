"""What streams run on, as the operator hears of it."""

from pathlib import Path

from structlog.testing import capture_logs

from mediaserver.settings import PromptSettings, Settings
from mediaserver.streams.engine import Engine
from tests.sound import speechlike, write_wav


async def test_a_prompt_folder_s_going_and_its_coming_back_are_logged_once_each(tmp_path: Path) -> None:
    folder, away = tmp_path / "prompts", tmp_path / "away"
    write_wav(folder / "a.wav", speechlike(160))
    prompts = PromptSettings(directory=folder, cache="off")
    engine = Engine(Settings(prompts=prompts, paths={}), "c")
    try:
        await engine.load()
        with capture_logs() as logged:
            folder.rename(away)
            await engine.look()
            await engine.look()
            assert engine.configuration.missing_prompts(engine.library) == [
                f"c: prompts.directory: {folder} is not a folder"
            ]
            away.rename(folder)
            await engine.look()
            await engine.look()
    finally:
        await engine.close()
    assert [(line["event"], line["folder"]) for line in logged] == [
        ("the prompt folder is gone: all prompts stay as they were", str(folder)),
        ("the prompt folder can be read again", str(folder)),
    ]
    assert engine.configuration.missing_prompts(engine.library) == []
    assert list(engine.library.prompts) == ["a"]
