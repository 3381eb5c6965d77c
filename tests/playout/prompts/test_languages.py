"""Which prompt is played to callers of a language: its variant by the look-up order, or the prompt itself."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from mediaserver.audio.pcm import Samples
from mediaserver.errors import PromptError
from mediaserver.playout.prompts import languages
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from tests.handlers.test_handlers import library_of
from tests.playout.prompts.folder import NEW, OLD, loaded, put, refreshed
from tests.virtual import VirtualLoop, in_virtual_time

ORDER = ["a/welcome.de-AT", "de-AT/a/welcome", "a/welcome.de", "de/a/welcome", "a/welcome"]


def snapshot_of(names: Iterable[str]) -> PromptSnapshot:
    sounds: dict[str, Samples] = dict.fromkeys(names, OLD)
    return library_of(sounds).snapshot


def played(names: Iterable[str], name: str, language: str) -> str:
    return snapshot_of(names).view(language=language).get(name).name


@pytest.mark.parametrize("first", range(len(ORDER)))
def test_the_best_variant_that_exists_is_played(first: int) -> None:
    assert played(reversed(ORDER[first:]), "a/welcome", "de-AT") == ORDER[first]


@pytest.mark.parametrize(
    ("names", "language", "expected"),
    [
        (ORDER, "", "a/welcome"),
        (ORDER, "fr", "a/welcome"),
        (ORDER, "de", "a/welcome.de"),
        (ORDER, "de-CH", "a/welcome.de"),
        (ORDER, "DE-at", "a/welcome.de-AT"),
        (["a/welcome", "DE_at/a/welcome"], "de-AT", "DE_at/a/welcome"),
        (["a/welcome", "a/welcome.En_US"], "en-us", "a/welcome.En_US"),
        (["a/welcome", "a/welcome.en_US"], "en", "a/welcome"),
        (["a/welcome", "a/welcome.fil"], "fil", "a/welcome.fil"),
        (["a/welcome", "a/welcome.zh-Hant"], "zh-Hant-TW", "a/welcome.zh-Hant"),
        (["a/welcome", "a/de/welcome"], "de", "a/welcome"),  # only the first folder is one of a language
        (["de/a/welcome"], "de", "de/a/welcome"),
    ],
)
def test_tags_are_compared_by_their_parts(names: list[str], language: str, expected: str) -> None:
    assert played(names, "a/welcome", language) == expected


@pytest.mark.parametrize("language", ["", "de", "fr"])
def test_a_variant_is_also_played_by_its_own_name(language: str) -> None:
    assert [played(ORDER, name, language) for name in ORDER[2:4]] == ORDER[2:4]


@pytest.mark.parametrize("language", ["", "fr"])
def test_a_prompt_that_exists_in_another_language_alone_is_none(language: str) -> None:
    with pytest.raises(PromptError, match='no prompt "a/welcome"'):
        played(ORDER[:4], "a/welcome", language)


@pytest.mark.parametrize(
    ("pattern", "language", "expected"),
    [
        ("music/*", "", ["music/a", "music/b", "music/b.one", "music/c.de"]),
        ("music/*", "de", ["music/a.DE", "de/music/b", "music/b.one", "music/c.de"]),
        ("music/*", "fr", ["music/a", "music/b", "music/b.one", "music/c.de"]),
        ("music/*", "one", ["music/a", "music/b.one", "music/c.de"]),
        ("de/*", "", ["de/music/b"]),
        ("*b", "", ["music/b"]),
        ("music/*.DE", "", ["music/a.DE"]),
    ],
)
def test_a_glob_plays_a_variant_in_place_of_what_it_varies(
    pattern: str, language: str, expected: list[str]
) -> None:
    snapshot = snapshot_of(["music/a", "music/a.DE", "music/b", "music/b.one", "music/c.de", "de/music/b"])
    assert [prompt.name for prompt in snapshot.view(language=language).match([pattern])] == expected


def test_without_a_language_nothing_is_looked_up() -> None:
    snapshot = snapshot_of(ORDER)
    assert snapshot.view() is snapshot
    assert snapshot.view(gain=-6.0)._variants == {}
    assert "language_variants" not in vars(snapshot)
    views = [snapshot.view(language=language) for language in ("de", "fr")]
    assert views[0]._variants is views[1]._variants is snapshot.language_variants


def test_a_view_has_both_a_language_and_a_gain() -> None:
    prompt = snapshot_of(ORDER).view(gain=-6.0, language="de").get("a/welcome")
    assert (prompt.name, prompt.gain) == ("a/welcome.de", -6.0)


@pytest.mark.parametrize(
    "name", ["welcome", "welcome.v2", "welcome.de.", ".de", "a/.de", "welcome.abcd", "main/a"]
)
def test_names_that_are_no_variants(name: str) -> None:
    assert languages.readings(name) == []


@in_virtual_time
async def test_a_variant_that_comes_and_goes_is_heard_by_the_next_call(tmp_path: Path, loop: VirtualLoop) -> None:
    put(tmp_path / "a.wav", OLD)
    library = await loaded(tmp_path)

    def heard() -> tuple[str, int]:
        prompt = library.snapshot.view(language="de").get("a")
        return prompt.name, prompt.samples

    assert heard() == ("a", len(OLD))
    for path in (tmp_path / "de/a.wav", tmp_path / "a.de.wav"):
        put(path, NEW)
        assert await refreshed(library) is not None
        assert heard() == (path.relative_to(tmp_path).with_suffix("").as_posix(), len(NEW))
    put(tmp_path / "a.de.wav", OLD)
    assert await refreshed(library) is not None
    assert heard() == ("a.de", len(OLD))
    (tmp_path / "a.de.wav").unlink()
    (tmp_path / "de/a.wav").unlink()
    assert await refreshed(library) is not None
    assert heard() == ("a", len(OLD))
