"""What engines lack is known before a call comes."""

import sys
from pathlib import Path

import pytest

from mediaserver import config
from mediaserver.streams.configuration import Configuration


def problems_of(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "config.toml"
    file.write_text(text)
    settings, problems = config.load(file)
    return list(Configuration.of(settings, "config.toml", problems).problems)


def path(**settings: str) -> str:
    lines = "\n".join(f'{key} = "{value}"' for key, value in settings.items())
    return f'[paths."/listen"]\nhandler = "recognise"\n{lines}\n'


def test_pocketsphinx_that_is_not_installed_is_told_where_a_path_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pocketsphinx", None)
    why = 'config.toml: paths."/listen": pocketsphinx is not installed: pip install "mediaserver[speech]"'
    assert problems_of(tmp_path, path()) == [why]
    assert problems_of(tmp_path, path(engine="pocketsphinx")) == [why]
    assert problems_of(tmp_path, path(engine="vosk")) == []
    assert problems_of(tmp_path, '[recognition]\nengine = "vosk"\n' + path()) == []
    assert problems_of(tmp_path, "") == []


def test_a_language_that_pocketsphinx_does_not_know_is_told(tmp_path: Path) -> None:
    pytest.importorskip("pocketsphinx")
    why = 'config.toml: paths."/listen": pocketsphinx understands English only: for "de" use vosk or openai'
    assert problems_of(tmp_path, path(language="de")) == [why]
    assert problems_of(tmp_path, '[recognition]\nlanguage = "de"\n' + path()) == [why]
    assert problems_of(tmp_path, path(language="de", engine="vosk")) == []
    assert problems_of(tmp_path, path(language="en-GB")) == []


def test_openai_without_a_token_is_told(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, path(engine="openai"))
    assert (
        problem == 'config.toml: paths."/listen": recognition.openai.token: there is none, which OpenAI asks for'
    )
    assert not problems_of(tmp_path, '[recognition.openai]\ntoken = "sk"\n' + path(engine="openai"))
    ours = '[recognition.openai]\nurl = "http://127.0.0.1:8000/v1"\n'
    assert not problems_of(tmp_path, ours + path(engine="openai"))
