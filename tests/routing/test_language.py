"""A caller's language in the URL's query: over the path's own, as a variable, and as a limit of texts."""

from pathlib import Path

import pytest

from mediaserver import config
from mediaserver.errors import RefusedError
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.routing.configuration import Configuration
from mediaserver.routing.route import Route
from mediaserver.routing.spoken_queries import SpokenTextLimiter
from tests.handlers.test_handlers import library_of
from tests.server.process import write_config
from tests.sound import speechlike

SPEECH = '[speech]\nengine = "command"\n[speech.command]\nprogram = ["true"]\n'


def route_of(settings: str, tmp_path: Path, pattern: str = "/a") -> Route:
    text = f'{SPEECH}[paths."{pattern}"]\n{settings}\n'
    (route,) = Configuration.build(*_loaded(text, tmp_path)).table
    return route


def _loaded(text: str, tmp_path: Path) -> tuple[config.Settings, str, list[str]]:
    settings, problems = config.load(write_config(tmp_path, text))
    assert not problems
    return settings, "", problems


@pytest.mark.parametrize(
    "settings",
    [
        'handler = "say"\ntext = "Hi"',
        'handler = "playback"\nprompts = [{say = "Hi"}]',
        'handler = "hold-music"\nprompts = ["a"]',
        'handler = "bridge"\nurl = "ws://127.0.0.1/"',
        'handler = "record"',
        'handler = "recognise"\nengine = "vosk"',
        'handler = "menu"\nmenus.main.keys.1 = {play = [{say = "Hi"}], hangup = true}',
        'handler = "assistant"\ninstructions = "Talk."\nrecognition_engine = "vosk"',
    ],
)
def test_the_query_overrides_the_language_of_every_handler_that_plays_prompts(
    settings: str, tmp_path: Path
) -> None:
    route = route_of(f'{settings}\nlanguage = "de"', tmp_path)
    snapshot = library_of({"a": speechlike(160)}).snapshot
    assert route.build_handler({}, {}, snapshot).prompt_language == "de"
    assert route.build_handler({}, {"language": "fr-CA"}, snapshot).prompt_language == "fr-CA"
    with pytest.raises(RefusedError) as refused:
        route.build_handler({}, {"language": "fr_CA"}, snapshot)
    assert (refused.value.status, str(refused.value)) == (
        400,
        "language: should be a BCP 47 tag, such as en or en-GB (it is 'fr_CA')",
    )


def test_the_language_is_a_variable_too(tmp_path: Path) -> None:
    for handler in ("echo", "record"):
        route = route_of(f'handler = "{handler}"', tmp_path)
        route.build_handler({}, {"language": "de"}, PromptSnapshot())
        assert route.stream_variables({"language": "de", "repeat": "2"}, {}) == {"language": "de"}


@pytest.mark.parametrize(
    ("settings", "language", "why"),
    [
        ('handler = "say"\ntext = "Hi"', "xx", 'language: the language "xx" is not known'),
        ('handler = "playback"\nprompts = [{say = "Hi"}]\nengine = "hibari"', "de", "language: "),
        ('handler = "recognise"\nengine = "pocketsphinx"', "de", "language: "),
    ],
)
def test_a_language_that_an_engine_lacks_is_refused(
    settings: str, language: str, why: str, tmp_path: Path
) -> None:
    route = route_of(settings, tmp_path)
    with pytest.raises(RefusedError) as refused:
        route.build_handler({}, {"language": language}, PromptSnapshot())
    assert refused.value.status == 400
    assert str(refused.value).startswith(why)
    assert "\n" not in str(refused.value)


def test_a_text_in_another_language_is_another_text(tmp_path: Path) -> None:
    route = route_of('handler = "say"\ntext = "Hi"', tmp_path)
    silent = route_of('handler = "record"', tmp_path)
    limiter, snapshot = SpokenTextLimiter(lambda: 0.0), PromptSnapshot()

    def ask(route: Route, query: dict[str, str]) -> None:
        limiter.admit("peer", route, route.build_handler({}, query, snapshot), ({}, query), 2)

    for language in ("de", "fr", "de", "fr"):
        ask(route, {"language": language})
    ask(route, {})  # the path's own text costs nothing
    ask(silent, {"language": "it"})
    with pytest.raises(RefusedError, match="2 different texts a minute"):
        ask(route, {"language": "it"})
