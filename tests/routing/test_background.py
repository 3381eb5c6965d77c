"""The background of a path in the configuration: a prompt that must be there, as any other one of the path."""

from pathlib import Path

import numpy as np
import pytest

from mediaserver.cli.findings import Findings
from mediaserver.errors import RefusedError
from mediaserver.routing import requirements
from tests.cli.test_check import found
from tests.handlers.test_handlers import library_of
from tests.routing.test_language import route_of
from tests.sound import speechlike, voice, write_wav

PATHS = """
[paths."/a"]
handler = "silence"
background = "music/ofice"
[paths."/b"]
handler = "hold-music"
prompts = ["music/*", "gone"]
background = "nowhere"
background_level = -5
background_duckin = 3
[paths."/c/{room}"]
handler = "playback"
prompt = "welcome"
background = "music/{room}"
background_ducking = -1
"""


async def checked(folder: Path, text: str) -> Findings:
    write_wav(folder / "prompts/music/office.wav", voice(16_000))
    write_wav(folder / "prompts/welcome.wav", voice(16_000))
    return await found(folder, text)


async def test_each_mistake_has_a_line_that_names_the_path(tmp_path: Path) -> None:
    assert sorted((await checked(tmp_path, PATHS)).problems) == [
        'c.toml: paths."/a": background: no prompt "music/ofice" (did you mean "music/office"?)',
        'c.toml: paths."/b": background: no prompt "nowhere"',
        'c.toml: paths."/b": background_duckin: unknown setting (did you mean "background_ducking"?)',
        'c.toml: paths."/b": background_level: should be -10 or less (it is -5)',
        'c.toml: paths."/b": no prompt "gone"',
        'c.toml: paths."/c/{room}": background_ducking: should be 0 or more (it is -1)',
    ]


async def test_check_tells_of_a_loop_that_clicks_and_of_a_level_that_is_not_reached(tmp_path: Path) -> None:
    peaky = voice(16_000) // 4
    peaky[8000], peaky[:800], peaky[-800:] = 32_000, 0, np.arange(800) * 5
    write_wav(tmp_path / "prompts/peaky.wav", peaky)
    findings = await checked(tmp_path, '[paths."/a"]\nhandler = "silence"\nbackground = "peaky"\n')
    assert not findings.problems
    (click,) = (note for note in findings.notes if "clicks" in note)
    assert click.endswith("peaky.wav clicks where it is looped: its end and what follows are 12.2 % apart")
    (limited,) = (note for note in findings.notes if "stays" in note)
    assert limited.startswith('c.toml: paths."/a": background_level: prompt "peaky" stays ')
    assert limited.endswith(" dB below it, or its peaks would clip")


def test_a_variable_of_the_url_names_it(tmp_path: Path) -> None:
    route = route_of('handler = "silence"\nbackground = "music/{room}"', tmp_path, "/a/{room}")
    snapshot = library_of({"music/office": speechlike(160)}).snapshot
    assert route.build_handler({"room": "office"}, {}, snapshot).background == "music/office"
    with pytest.raises(RefusedError) as refused:
        route.build_handler({"room": "offices"}, {}, snapshot)
    assert (refused.value.status, str(refused.value)) == (
        404,
        'no prompt "music/offices" (did you mean "music/office"?)',
    )


def test_prompts_of_such_a_path_are_ready_in_linear_samples_as_well(tmp_path: Path) -> None:
    plain = route_of('handler = "silence"\nencapsulation = "rtp"', tmp_path)
    mixed = route_of('handler = "silence"\nencapsulation = "rtp"\nbackground = "a"', tmp_path)
    linear = route_of('handler = "silence"\nencapsulation = "sln"\nbackground = "a"', tmp_path)
    names = [[each.name for each in requirements.first_encodings([route])] for route in (plain, mixed, linear)]
    assert names == [["pcmu"], ["pcmu", "pcm"], ["pcm"]]
