"""Prompts by name: what is said of a name that no prompt has, and what becomes of a snapshot that changes."""

from pathlib import Path

import pytest

from mediaserver.errors import PromptError
from mediaserver.playout.decoding.pool import AudioInfo, DecodePool
from mediaserver.playout.prompts.prompt_store import Prompt, PromptStore
from mediaserver.playout.prompts.snapshot import PromptSnapshot

STORE = PromptStore(1000, DecodePool())


def prompt_of(name: str) -> Prompt:
    return Prompt(name, Path(f"{name}.wav"), 800, AudioInfo("test", -60.0, -26.0), STORE)


def snapshot_of(*names: str) -> PromptSnapshot:
    return PromptSnapshot({name: prompt_of(name) for name in names}, undecodable={"fax": "fax.ra"})


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("welcom", ' (did you mean "welcome"?)'),
        ("xyz", ""),
        ("welcome.wav", ' (did you mean "welcome"? Prompts are named without the extension)'),
        ("welcome.WAV", ' (did you mean "welcome"? Prompts are named without the extension)'),
        ("welcom.wav", ' (did you mean "welcome"?): prompts are named without the extension'),
        ("xyz.mp3", ": prompts are named without the extension"),
        (
            "prompts/welcome",
            ' (did you mean "welcome"? Prompts are named by their path in the prompt folder)',
        ),
        (
            "/srv/prompts/music/hold.wav",
            ' (did you mean "music/hold"? Prompts are named by their path in the prompt folder)',
        ),
        ("fax", ": fax.ra is of a kind that cannot be decoded, convert it to WAV"),
    ],
)
def test_a_name_that_no_prompt_has_is_told_with_what_may_be_meant(name: str, hint: str) -> None:
    with pytest.raises(PromptError) as missing:
        snapshot_of("welcome", "music/hold").get(name)
    assert str(missing.value) == f'no prompt "{name}"{hint}'


def test_a_name_is_found_however_its_accents_are_written() -> None:
    assert snapshot_of("gr\u00fcn").get("gru\u0308n").name == "gr\u00fcn"


def test_a_prompt_that_cannot_be_played_says_why_by_its_file() -> None:
    snapshot = PromptSnapshot(problems={"a": {"a.wav": "is empty"}})
    with pytest.raises(PromptError, match=r'^prompt "a" cannot be played: a\.wav is empty$'):
        snapshot.get("a")


def test_each_change_of_prompts_has_a_version_and_leaves_the_snapshot_before_as_it_was() -> None:
    first = snapshot_of("a", "b").updated({}, {"x": {"x.wav": "is empty"}, "y": {"y.wav": "is empty"}})
    assert (first.version, list(first.by_name)) == (0, ["a", "b"])  # problems alone are no change of prompts
    second = first.updated({"a": None, "c": prompt_of("c")}, {"x": {}})
    assert (second.version, sorted(second.by_name)) == (1, ["b", "c"])
    assert dict(second.problems) == {"y": {"y.wav": "is empty"}}
    assert second.undecodable == {"fax": "fax.ra"}
    assert (sorted(first.by_name), sorted(first.problems)) == (["a", "b"], ["x", "y"])


def test_a_view_amplifies_what_it_finds_and_is_the_same_where_nothing_is_to_change() -> None:
    snapshot = snapshot_of("a")
    louder = snapshot.view(gain=3.0)
    assert (louder.get("a").gain, louder.find("a").gain, snapshot.get("a").gain) == (3.0, 0.0, 0.0)
    assert [prompt.gain for prompt in louder.match(["a"])] == [3.0]
    assert louder.view(gain=3.0) is louder
    assert louder.view().get("a").gain == 0.0
    assert louder.view(gain=3.0, language="de") is not louder


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*", ["a", "b", "music/x"]),
        ("music/*", ["music/x"]),
        ("[ab]", ["a", "b"]),
        ("?", ["a", "b"]),
        ("zz", ["zz"]),
    ],
)
def test_a_glob_is_the_sorted_names_that_it_matches_and_a_name_itself(pattern: str, names: list[str]) -> None:
    assert snapshot_of("music/x", "b", "a").match_names(pattern) == names


def test_a_name_with_a_glob_s_signs_may_be_a_prompt_s() -> None:
    assert snapshot_of("a", "[a]").match_names("[a]") == ["[a]"]
