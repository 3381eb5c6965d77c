"""Problems of the engines that paths require are reported when the configuration is loaded."""

import sys
from pathlib import Path

import pytest

from mediaserver import config
from mediaserver.routing.configuration import Configuration
from mediaserver.speech.tts.hibari import VOICES
from tests.project import without_missing_engine


def config_problems(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "config.toml"
    file.write_text(text)
    settings, problems = config.load(file)
    return list(Configuration.build(settings, "config.toml", problems).problems)


def path(**settings: str) -> str:
    lines = "\n".join(f'{key} = "{value}"' for key, value in settings.items())
    return f'[paths."/listen"]\nhandler = "recognise"\n{lines}\n'


def test_a_path_that_needs_pocketsphinx_has_a_problem_where_it_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    how = 'pip install "mediaserver[speech]", or in a clone make speech'
    why = f'config.toml: paths."/listen": pocketsphinx is not installed: {how}'
    assert config_problems(tmp_path, path()) == [why]
    assert config_problems(tmp_path, path(engine="pocketsphinx")) == [why]
    assert config_problems(tmp_path, path(engine="vosk")) == []
    assert config_problems(tmp_path, '[recognition]\nengine = "vosk"\n' + path()) == []
    assert config_problems(tmp_path, "") == []


def test_pocketsphinx_with_a_language_other_than_english_is_a_problem(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx")
    why = 'config.toml: paths."/listen": pocketsphinx understands English only: for "de" use vosk or openai'
    assert config_problems(tmp_path, path(language="de")) == [why]
    assert config_problems(tmp_path, '[recognition]\nlanguage = "de"\n' + path()) == [why]
    assert config_problems(tmp_path, path(language="de", engine="vosk")) == []
    assert config_problems(tmp_path, path(language="en-GB")) == []


def test_openai_without_a_token_is_a_problem(tmp_path: Path) -> None:
    (problem,) = config_problems(tmp_path, path(engine="openai"))
    assert (
        problem
        == 'config.toml: paths."/listen": recognition.openai.token: no token is set, and OpenAI requires one'
    )
    assert not config_problems(tmp_path, '[recognition.openai]\ntoken = "sk"\n' + path(engine="openai"))
    other_server = '[recognition.openai]\nurl = "http://127.0.0.1:8000/v1"\n'
    assert not config_problems(tmp_path, other_server + path(engine="openai"))


def test_an_unknown_voice_of_hibari_is_a_problem(tmp_path: Path) -> None:
    voices = pytest.importorskip("hibari.voices")
    assert tuple(voices.VOICES) == VOICES
    why = 'config.toml: paths."/say": hibari has no voice "hart" (did you mean "heart"?): ' + ", ".join(VOICES)
    say = '[paths."/say"]\nhandler = "say"\ntext = "Hi"\n'
    assert config_problems(tmp_path, say + 'voice = "hart"') == [why]
    assert config_problems(tmp_path, '[speech]\nvoice = "hart"\n' + say) == [why]
    assert config_problems(tmp_path, say + 'voice = "emma"') == []
    other = '[speech]\nengine = "openai"\nvoice = "nova"\nlanguage = "de"\n[speech.openai]\ntoken = "sk"\n'
    assert config_problems(tmp_path, other + say + 'engine = "hibari"\nlanguage = "en"') == []
    by_the_path = say.replace("/say", "/say/{voice}") + 'voice = "{voice}"'
    assert config_problems(tmp_path, by_the_path) == []


def test_an_assistant_without_a_token_for_openai_is_a_problem(tmp_path: Path) -> None:
    pytest.importorskip("hibari")
    pytest.importorskip("pocketsphinx")
    assistant = '[paths."/assistant"]\nhandler = "assistant"\ninstructions = "Be brief."\n'
    (problem,) = config_problems(tmp_path, assistant)
    assert problem == (
        'config.toml: paths."/assistant": chat.token: no token is set, and OpenAI requires one; '
        "chat.url names another server"
    )
    assert not config_problems(tmp_path, '[chat]\ntoken = "sk"\n' + assistant)
    assert not config_problems(tmp_path, '[chat]\nurl = "http://127.0.0.1:11434/v1"\n' + assistant)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (path(language="german"), 'paths."/listen": language: should be a BCP 47 tag, such as en or en-GB'),
        ('[speech]\nlanguage = "german"', "speech.language: should be a BCP 47 tag, such as en or en-GB"),
        (
            '[paths."/mixed"]\nhandler = "playback"\nprompts = [{say = "Hi", fallback = "beep"}]',
            'paths."/mixed": prompts[0].fallback: unknown setting',
        ),
    ],
)
def test_a_problem_names_its_key(tmp_path: Path, text: str, why: str) -> None:
    (problem,) = without_missing_engine(config_problems(tmp_path, text))
    assert problem.partition("config.toml: ")[2].removesuffix(" (it is 'german')") == why
