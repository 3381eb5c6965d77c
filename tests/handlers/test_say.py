"""The `say` handler, and spoken prompts in `playback`: real servers, real engines, real calls."""

import asyncio
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import aiohttp
import pytest

from mediaserver import config
from mediaserver.config.settings import Settings
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.errors import RefusedError
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.routing.configuration import Configuration
from mediaserver.routing.route import Route
from mediaserver.server.server import Server
from mediaserver.speech.service import SpeechService
from tests.server.process import ServerProcess, get, listen, refusal, serving, write_config
from tests.sound import speechlike, write_wav
from tests.speech.tts_server import TOKEN, tts_server
from tests.timing import TIMEOUT

pytest.importorskip("hibari")
CHIME, SORRY = speechlike(1000, 1), speechlike(800, 2)  # six frames and a quarter, and five
PATHS = f"""
[defaults]
framing = "pcm"
[speech]
timeout = {TIMEOUT}
[speech.command]
program = [{json.dumps(sys.executable)}, "-c", "import sys; sys.exit('no voice today')"]
[paths."/say"]
handler = "say"
text_from_url = true
linger_ms = 0
[paths."/said"]
handler = "say"
text = "{{name}} {{amount:number}} {{{{b}}}}."
linger_ms = 0
[paths."/mixed"]
handler = "playback"
prompts = ["chime", {{say = "Now {{position:ordinal}}."}}]
repeat = 2
linger_ms = 0
[paths."/broken"]
handler = "say"
text = "Hello."
engine = "command"
fallback = "sorry"
linger_ms = 0
[paths."/broken/mixed"]
handler = "playback"
prompts = ["chime", {{say = "Hello.", engine = "command"}}, "chime"]
fallback = "sorry"
linger_ms = 0
[paths."/broken/bare"]
handler = "say"
text = "Hello."
engine = "command"
"""


def prompts(folder: Path) -> None:
    write_wav(folder / "prompts/chime.wav", CHIME)
    write_wav(folder / "prompts/sorry.wav", SORRY)


def pcm(*prompts: object) -> bytes:
    return b"".join(prompt if isinstance(prompt, bytes) else prompt.tobytes() for prompt in prompts)  # type: ignore[attr-defined]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("say")
    prompts(folder)
    with serving(write_config(folder, PATHS)) as served:
        yield served


async def spoken(text: str) -> bytes:
    """What the engine makes of a text, in a process of its own."""
    speech = SpeechService(SpeechSettings(timeout=TIMEOUT))
    try:
        return await speech.say(text).collect_pcm()
    finally:
        await speech.close()


async def heard(server: ServerProcess, path: str) -> tuple[bytes, int | None]:
    """All sound of a call but the silence before it, in whole frames, and the close code."""
    call = await listen(server.url(path))
    messages = call.messages
    while messages and not any(messages[0]):
        del messages[0]
    return b"".join(messages), call.close_code


async def test_a_caller_hears_what_the_engine_speaks_byte_for_byte(server: ServerProcess) -> None:
    """Values are in words, braces are braces, and what a value holds is no template."""
    sound = (await spoken("{amount} five {b}.")).lstrip(b"\0")
    calls = await asyncio.gather(*(heard(server, "/said?amount=5&name=%7Bamount%7D") for _ in range(2)))
    assert [(come.lstrip(b"\0"), code) for come, code in calls] == [(sound, 1000)] * 2


async def test_a_url_s_text_is_spoken_literally(server: ServerProcess) -> None:
    text = "Hi {name}."
    come, _ = await heard(server, f"/say?text={quote(text)}&repeat=2")
    sound = await spoken(text)
    assert come.lstrip(b"\0") == (sound + sound).lstrip(b"\0")


async def test_a_text_among_prompts_is_gapless_to_the_sample(server: ServerProcess) -> None:
    sound = await spoken("Now third.")
    once = pcm(CHIME, sound)
    await heard(server, "/mixed?position=3&repeat=1")  # from now on it is there
    come, code = await heard(server, "/mixed?position=3")
    assert come == (once + once).ljust(len(come), b"\0")
    assert len(come) - 2 * len(once) < 320
    assert code == 1000


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("/say", "no text is set: add ?text=… to the URL"),
        ("/say?text=", "the text is empty: there is nothing to say"),
        ("/say?text=%20.%0A", "the text is empty: there is nothing to say"),
        (f"/say?text={'a' * 1001}", "the text has 1001 characters: speech.max_characters is 1000"),
        ("/said?name=Ann", "no value for {amount}"),
        ("/said?name=Ann&amount=much", "{amount} cannot be spoken as number: "),
        (f"/said?name={'a' * 1001}&amount=1", "{name} cannot be spoken: it is longer than 1000 characters"),
        ("/mixed", "no value for {position}"),
        ("/mixed?position=-", "{position} cannot be spoken as ordinal: "),
    ],
)
async def test_a_call_whose_text_cannot_be_spoken_is_refused(server: ServerProcess, path: str, line: str) -> None:
    status, text = await refusal(server.url(path))
    assert (status, text[: len(line)]) == (400, line)
    assert text.count("\n") == 1
    refused = server.events("refused")[-1]
    assert (refused["reason"], refused["why"]) == (
        "bad-text",
        text.strip(),
    )  # VoIPBIN shows nobody what it was told


@pytest.mark.parametrize(
    ("variables", "line"),
    [({}, "no value for {position}"), ({"position": "last"}, "{position} cannot be spoken as ordinal: ")],
)
async def test_an_attach_whose_text_cannot_be_spoken_is_refused(
    server: ServerProcess, variables: dict[str, str], line: str
) -> None:
    wanted = {"resource": "calls/some-call", "path": "/mixed", "variables": variables}
    url = server.admin_url("/v1/attach")
    async with aiohttp.ClientSession() as client, client.post(url, json=wanted) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"].startswith(line)


async def test_an_engine_that_fails_is_a_fallback_an_event_and_a_count(server: ServerProcess) -> None:
    await heard(server, "/say?text=Hi.")
    assert await heard(server, "/broken") == (pcm(SORRY), 1000)
    come, code = await heard(server, "/broken/mixed")
    assert come.startswith(pcm(CHIME))
    assert pcm(SORRY, CHIME) in come  # maybe after silence: it may take longer to fail than the chime takes
    assert code == 1000
    assert await heard(server, "/broken/bare") == (b"", 1011)
    _, metrics = await get(server.admin_url("/metrics"))
    values = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if not line.startswith("#"))
    assert float(values['mediaserver_events_total{type="speech.failed"}']) == 3
    assert float(values['mediaserver_sentences_total{result="failed"}']) == 3
    assert float(values["mediaserver_speech_wait_seconds_count"]) >= 1
    told = [line["why"] for line in server.events("synthesis failed")]
    assert told == ["the program ended with 1: no voice today"]  # once, not for every caller


INSTANT_FAULTS = ["refused", "500", "half", "garbage", "json", "html", "empty", "bad wav"]


@pytest.mark.parametrize(
    ("timeout", "faults"), [(0.5, ["slow"]), (TIMEOUT, INSTANT_FAULTS)], ids=["slow", "instant"]
)
async def test_every_failure_of_a_server_has_its_fallback(
    tmp_path: Path, timeout: float, faults: list[str]
) -> None:
    prompts(tmp_path)
    async with tts_server() as engine:
        settings, _ = config.load(
            write_config(
                tmp_path,
                f'[defaults]\nframing = "pcm"\n[speech]\nengine = "openai"\ntimeout = {timeout}\n'
                f'[speech.openai]\nurl = "{engine.url}"\ntoken = "{TOKEN}"\n'
                '[paths."/say"]\nhandler = "say"\ntext_from_url = true\nfallback = "sorry"\nlinger_ms = 0\n',
            )
        )
        server = Server(settings, "config.toml", [])
        try:
            await server.start()
            for number, fault in enumerate(faults):
                engine.fault = fault
                call = await listen(f"ws://127.0.0.1:{server.port}/say?text={number}%20bottles.")
                assert call.messages[-5:] == [pcm(SORRY)[at : at + 320] for at in range(0, 1600, 320)], fault
                assert call.close_code == 1000
                before = b"".join(call.messages[:-5])
                assert any(before) == (fault == "half"), fault
        finally:
            await server.close()
        assert server.engine.speech.results == {
            "memory": 0,
            "disk": 0,
            "made": 0,
            "failed": len(faults),
            "dropped": 0,
        }


# -- before there is a call ----------------------------------------------------------------


def configured(paths: str, tmp_path: Path, **speech: object) -> Configuration:
    tables = "".join(f"{key} = {json.dumps(value)}\n" for key, value in speech.items())
    settings, problems = config.load(write_config(tmp_path, f"[speech]\n{tables}{paths}"))
    return Configuration.build(settings, "config.toml", problems)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ('text = "{amount:curency}"', r'text: {amount}: there is no format "curency" (did you mean "currency"?)'),
        ('text = "{amount"', "text: the braces do not match"),
        ('text = ""', "the text is empty: there is nothing to say"),
        ('text = "Hi"\nrate = 3', "rate: should be 2 or less (it is 3)"),
        ('text = "Hi"\nvoise = "a"', 'voise: unknown setting (did you mean "voice"?)'),
        ('text = "Hi"\nlanguage = "no one"', "language: should be a BCP 47 tag"),
        ('text = "Hi"\nengine = "espeak"', 'engine: should be "hibari", "command" or "openai"'),
        ('text = "Hi"\nengine = "command"', "speech.command.program is empty: "),
    ],
)
def test_mistakes_in_a_text_are_found_at_start(settings: str, why: str, tmp_path: Path) -> None:
    (problem,) = configured(f'[paths."/say"]\nhandler = "say"\n{settings}\n', tmp_path).problems
    assert problem.startswith(f'config.toml: paths."/say": {why}')


@pytest.mark.parametrize(
    ("member", "why"),
    [
        ('{say = "{a:b:c}"}', '{a}: there is no format "b"'),
        ('{say = ""}', "the text is empty"),
        ('{sai = "Hi"}', 'unknown setting (did you mean "say"?)'),
        ('{say = "Hi {there}", voice = "{voice}"}', "prompts: uses {voice}, which the path does not have"),
    ],
)
def test_mistakes_in_a_text_among_prompts_are_found_at_start(member: str, why: str, tmp_path: Path) -> None:
    found = configured(f'[paths."/a"]\nhandler = "playback"\nprompts = ["x", {member}]\n', tmp_path).problems
    assert any(why in problem for problem in found), found
    assert all(problem.startswith('config.toml: paths."/a": ') for problem in found)


def test_an_engine_that_is_not_installed_is_found_at_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "hibari", None)  # as Python says of a module that is not there
    paths = (
        '[paths."/say"]\nhandler = "say"\n'
        '[paths."/mixed"]\nhandler = "playback"\nprompts = [{say = "Hi"}]\n'
        '[paths."/plain"]\nhandler = "silence"\n'
    )
    why = 'hibari is not installed: pip install "mediaserver[speech]", or in a clone make speech'
    found = configured(paths, tmp_path)
    assert list(found.problems) == [f'config.toml: paths."/{path}": {why}' for path in ("say", "mixed")]


def route_of(paths: str, tmp_path: Path) -> Route:
    made = configured(paths, tmp_path)
    assert not made.problems
    (route,) = made.table
    return route


def test_values_of_the_path_override_those_of_the_query(tmp_path: Path) -> None:
    """And `attach` gives its own as the path's: it looks at them here too."""
    route = route_of('[paths."/{n}"]\nhandler = "say"\ntext = "{n:number} {m:number}"\nvoice = "{n}"\n', tmp_path)
    snapshot = PromptSnapshot()
    handler = route.build_handler({"n": "1"}, {"n": "no number", "m": "2"}, snapshot)
    assert handler is route.build_handler({"n": "1"}, {"m": "3"}, snapshot)  # made once, whatever it is to say
    assert handler.voice == "1"  # type: ignore[attr-defined]
    assert handler is route.build_handler({"n": "1", "m": "4"}, {}, snapshot)
    with pytest.raises(RefusedError, match=r"\{m\} cannot be spoken as number"):
        route.build_handler({"n": "1", "m": "x"}, {"m": "2"}, snapshot)
    with pytest.raises(RefusedError, match=r"no value for \{m\}") as refused:
        route.build_handler({"n": "1"}, {}, snapshot)
    assert refused.value.status == 400


def test_the_default_configuration_speaks_nothing() -> None:
    assert not Configuration.build(Settings(), "defaults").problems
