"""`mediaserver say`: texts as prompt files."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from mediaserver.cli import main, terminal
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.speech.service import SpeechService
from tests.sound import read_wav
from tests.timing import TIMEOUT

pytest.importorskip("hibari")


def run(*arguments: object) -> tuple[int, str, str]:
    done = CliRunner(env={"COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}).invoke(
        main.app, ["say", *map(str, arguments)]
    )
    return done.exit_code, done.stdout, done.stderr


def test_a_text_becomes_a_prompt(tmp_path: Path) -> None:
    async def expected() -> bytes:
        speech = SpeechService(SpeechSettings(timeout=TIMEOUT))
        try:
            return await speech.say("Hello. And goodbye to all.", speech.voice(rate=1.5)).collect_pcm()
        finally:
            await speech.close()

    file = tmp_path / "x.wav"
    file.write_text("an older one")
    code, out, _ = run("Hello. And goodbye to all.", "-o", file, "--rate", 1.5)
    samples = read_wav(file)
    assert (code, out) == (0, f"{file}: {len(samples) / 8000:.2f} s\n")
    assert samples.astype("<i2").tobytes() == terminal.run(expected())
    assert [each.name for each in tmp_path.iterdir()] == ["x.wav"]


@pytest.mark.parametrize(
    ("arguments", "code", "why"),
    [
        (("", "-o", "x.wav"), 1, "the text is empty: there is nothing to say"),
        (("a" * 1001, "-o", "x.wav"), 1, "the text has 1001 characters"),
        (("Hi", "-o", "x.mp3"), 1, "should be named something.wav"),
        (("Hi", "-o", ".wav"), 1, "should be named something.wav"),
        (("Hi", "-o", "none/x.wav"), 1, "there is no folder none"),
        (("Hi", "-o", "x.wav", "--engine", "command"), 2, "defaults: speech.command.program is empty"),
        (("Hi", "-o", "x.wav", "--rate", "9"), 2, "--rate"),
        (("Hi",), 2, "--output"),
    ],
)
def test_what_makes_no_sense_is_told_in_one_line(
    arguments: tuple[str, ...], code: int, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found, _, told = run(*arguments)
    assert found == code
    assert why in told
    if "Usage" not in told:
        assert told.count("\n") == 1
    assert not list(tmp_path.iterdir())
