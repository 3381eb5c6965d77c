"""What `check` says of prompts that are missing in a language."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from mediaserver import config
from mediaserver.cli.language_findings import missing_variants
from mediaserver.playout.prompts.library import PromptLibrary
from mediaserver.routing.configuration import Configuration
from tests.cli.test_check import found, shown
from tests.handlers.test_handlers import library_of
from tests.server.process import write_config
from tests.sound import speechlike, write_wav

VOICE = np.clip(speechlike(8000), -20_000, 20_000) // 3
PATHS = """
[paths."/a"]
handler = "playback"
prompts = ["welcome", "menu/main"]
[paths."/hold"]
handler = "hold-music"
prompts = ["music/*"]
announcement = "bye"
[paths."/{prompt}"]
handler = "playback"
prompt = "{prompt}"
"""
PLAIN = ("welcome", "menu/main", "music/a", "music/b", "bye", "unused")


AS_THEY_ARE = "callers of this language hear them as they are"
PLAYBACK = """
[paths."{path}"]
handler = "playback"
prompt = "{prompt}"
language = "{language}"
"""


def library_with(*names: str) -> PromptLibrary:
    return library_of(dict.fromkeys(names, VOICE))


def configured(text: str, folder: Path) -> Configuration:
    settings, problems = config.load(write_config(folder, text))
    return Configuration.build(settings, "c.toml", problems)


@pytest.mark.parametrize(
    ("variants", "notes"),
    [
        ((), []),
        (("unused.de", "it/support", "welcome.one"), []),
        (
            ("welcome.de", "de/music/a", "fr/bye"),
            [
                f'no "de" variant of bye, menu/main, music/b: {AS_THEY_ARE}',
                f'no "fr" variant of menu/main, music/a, music/b, welcome: {AS_THEY_ARE}',
            ],
        ),
        (("de/welcome", "de/menu/main", "music/a.de", "music/b.DE", "bye.de", "bye.de_AT"), []),
    ],
)
def test_prompts_without_a_variant_are_noted(tmp_path: Path, variants: Iterable[str], notes: list[str]) -> None:
    snapshot = library_with(*PLAIN, *variants).snapshot
    assert list(missing_variants(configured(PATHS, tmp_path).table, snapshot)) == notes


def test_a_code_of_three_letters_counts_where_a_path_has_it(tmp_path: Path) -> None:
    paths = PLAYBACK.format(path="/a", prompt="bye", language="FIL") + PLAYBACK.format(
        path="/b", prompt="hi", language="en"
    )
    snapshot = library_with("bye", "bye.fil", "hi", "hi.one").snapshot
    table = configured(paths, tmp_path).table
    assert list(missing_variants(table, snapshot)) == [f'no "fil" variant of hi: {AS_THEY_ARE}']


async def test_check_tells_it_as_a_note(tmp_path: Path) -> None:
    for name in (*PLAIN, "bye.de"):
        write_wav(tmp_path / f"prompts/{name}.wav", VOICE)
    findings = await found(tmp_path, PATHS)
    note = f'{tmp_path / "prompts"}: no "de" variant of menu/main, music/a, music/b, welcome: {AS_THEY_ARE}'
    assert findings.notes == [note]
    assert findings.all_is_well
    assert json.loads(json.dumps(findings.as_json()))["notes"] == [note]
    assert note in shown(findings, 400)


@pytest.mark.parametrize(
    ("prompt", "language", "missing"),
    [
        ("welcome", "de-AT", ""),
        ("welcome", "fr", 'no prompt "welcome" (did you mean "de/welcome"?)'),
        ("welcome", "", 'no prompt "welcome" (did you mean "de/welcome"?)'),
        ("welcome", "{tag}", ""),  # the URL says which language
        ("hello", "{tag}", 'no prompt "hello"'),
    ],
)
def test_a_path_needs_its_prompt_in_its_own_language_alone(
    tmp_path: Path, prompt: str, language: str, missing: str
) -> None:
    configuration = configured(PLAYBACK.format(path="/{tag}", prompt=prompt, language=language), tmp_path)
    assert not configuration.problems
    expected = [f'c.toml: paths."/{{tag}}": {missing}'] if missing else []
    assert configuration.missing_prompts(library_with("de/welcome")) == expected


@pytest.mark.parametrize("value", ['"german"', '"de_AT"', "1"])
@pytest.mark.parametrize("handler", ['"playback"\nprompt = "a"', '"hold-music"\nprompts = ["a"]'])
def test_a_malformed_tag_is_a_mistake(tmp_path: Path, handler: str, value: str) -> None:
    text = f'[paths."/a"]\nhandler = {handler}\nlanguage = {value}\n'
    (problem,) = configured(text, tmp_path).problems
    assert problem.startswith('c.toml: paths."/a": language: should be ')
