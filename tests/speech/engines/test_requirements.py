"""Problems of the engines that paths require are reported when the configuration is loaded."""

import sys
from pathlib import Path
from typing import Any

import pytest

from mediaserver import config
from mediaserver.config.speech_settings import ChatSettings, HibariSettings, RecognitionSettings, SpeechSettings
from mediaserver.routing.configuration import Configuration
from mediaserver.speech.engines.requirements import EngineKind, EngineRequirement, can_serve, requirement_problems
from mediaserver.speech.tts.hibari import VOICES
from mediaserver.speech.tts.interface import Voice, resolve_voice
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


SAY = '[paths."/say"]\nhandler = "say"\ntext = "Hi"\n'
NO_PROGRAM = "speech.command.program is empty: it names the program that speaks, and its arguments"
NO_TOKEN = "speech.openai.token: no token is set, and OpenAI requires one"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (
            '[speech]\nengine = "hibri"',
            'speech.engine: should be "hibari", "command" or "openai" (did you mean "hibari"?)',
        ),
        ("[speech]\nengine = 3", 'speech.engine: should be "hibari", "command" or "openai" (it is 3)'),
        (
            '[speech]\nengine = ["hibari", "opnai"]',
            'speech.engine[1]: should be "hibari", "command" or "openai" (did you mean "openai"?)',
        ),
        ("[speech]\nengine = []", "speech.engine: should not be empty"),
        (
            '[recognition]\nengine = ["vosk", "vosk"]',
            "recognition.engine: names an engine twice: name each only once",
        ),
        (
            '[chat]\nengine = ["openai", "locl"]\n[chat.servers.local]',
            'chat: engine: there is no [chat.servers.locl] (did you mean "local"?)',
        ),
        (
            "[chat.servers.openai]",
            'chat: servers: "openai" is the server of [chat] itself: give this one another name',
        ),
        (
            '[chat.servers.local]\ntoken = "env:NO_SUCH"',
            "chat.servers.local.token: the environment variable NO_SUCH is not set, or empty",
        ),
        (
            SAY + 'engine = ["command", "openai"]\n[speech.command]\nprogram = ["true"]',
            f'paths."/say": {NO_TOKEN}',
        ),
        ('[speech]\nengine = "openai"\n[speech.openai]\ntoken = "sk"\n' + SAY, ""),
    ],
)
def test_mistakes_in_lists_of_engines(tmp_path: Path, text: str, why: str) -> None:
    """A single name has the same messages as ever; each engine of a list has to be usable."""
    problems = [problem.partition("config.toml: ")[2] for problem in config_problems(tmp_path, text)]
    assert [problem.partition(" (it is '")[0] for problem in problems] == [why] * bool(why)


def test_each_engine_of_a_list_that_cannot_be_used_has_a_line(tmp_path: Path) -> None:
    text = '[speech]\nengine = ["openai", "command"]\n' + SAY
    assert config_problems(tmp_path, text) == [
        f'config.toml: paths."/say": {NO_TOKEN}',
        f'config.toml: paths."/say": {NO_PROGRAM}',
    ]
    assistant = '[paths."/talk"]\nhandler = "assistant"\ninstructions = "Be brief."\nengine = "command"\n'
    assistant += 'recognition_engine = "vosk"\n[speech.command]\nprogram = ["true"]\n'
    chat = '[chat]\nengine = ["openai", "more"]\ntoken = "sk"\n[chat.servers.more]\n'
    more = "chat.servers.more"
    why = f"{more}.token: no token is set, and OpenAI requires one; {more}.url names another server"
    assert config_problems(tmp_path, chat + assistant) == [f'config.toml: paths."/talk": {why}']


def test_one_name_of_an_engine_in_the_environment_needs_no_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for text, engines in (("vosk", ("vosk",)), ('["openai", "vosk"]', ("openai", "vosk"))):
        monkeypatch.setenv("MEDIASERVER_RECOGNITION__ENGINE", text)
        (tmp_path / "config.toml").write_text("")
        settings, problems = config.load(tmp_path / "config.toml")
        assert (settings.recognition.engine, problems) == (engines, [])


def test_each_engine_speaks_with_a_voice_of_its_own() -> None:
    settings = SpeechSettings(
        engine=("openai", "hibari"), voice="nova", hibari=HibariSettings(voice="emma"), rate=1.2, language="en-GB"
    )
    how: dict[str, Any] = {"rate": 1.2, "language": "en-GB"}
    emma = Voice("hibari", "emma", **how)
    assert resolve_voice(settings) == Voice("openai", "nova", **how, others=(emma,))
    assert resolve_voice(settings, name="alloy").in_order == (Voice("openai", "alloy", **how), emma)
    assert resolve_voice(settings, ("hibari",)) == emma
    assert resolve_voice(settings, ("hibari", "openai"), "kore").in_order == (
        Voice("hibari", "kore", **how), Voice("openai", "nova", **how),
    )  # fmt: skip


def test_a_url_may_set_a_language_that_one_of_the_engines_has() -> None:
    settings, need = RecognitionSettings(), EngineRequirement(EngineKind.STT, ("pocketsphinx", "vosk"), "de")
    more = SpeechSettings(), settings, ChatSettings()
    assert can_serve(need, *more)
    assert not can_serve(need._replace(engines=("pocketsphinx",)), *more)
    assert len(requirement_problems(need, *more)) == 1
