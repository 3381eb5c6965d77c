"""Menus with spoken prompts: values of the caller and of webhooks, and the path's voice."""

import asyncio
import zlib
from collections.abc import AsyncGenerator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from mediaserver import config
from mediaserver.audio.pcm import to_bytes
from mediaserver.call import End
from mediaserver.errors import EngineError, RefusedError
from mediaserver.handlers.menu.handler import MenuHandler
from mediaserver.playout.prompts.snapshot import PromptSnapshot
from mediaserver.routing.configuration import Configuration
from mediaserver.runtime.sessions import run_handler
from mediaserver.speech.engines.table import TTS_ENGINES, TTS_PROBLEMS
from mediaserver.speech.tts.interface import Voice
from tests.call.caller import Caller, digits
from tests.handlers.test_handlers import library_of
from tests.handlers.test_menu import SOUNDS, flow
from tests.server.process import write_config
from tests.sound import speechlike
from tests.virtual import VirtualLoop, in_virtual_time

MAIN = """
[menus.main]
play = ["main", {say = "Press one."}]
invalid = {say = "That is no way."}
retries = 1
timeout = 1
keys.1 = { webhook = "http://backend/ask" }
keys.2 = { play = {say = "Good bye, {name}."}, hangup = true }
"""


def sound_of(text: str) -> bytes:
    """A tenth of a second for each text."""
    return to_bytes(speechlike(800, zlib.crc32(text.encode())))


class Voicebox:
    """Speaks at once. `asked` are the texts, and how each was to be said."""

    identity = "scripted"

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.voices: list[Voice] = []
        self.error = ""

    async def synthesise(self, text: str, voice: Voice) -> AsyncGenerator[bytes, None]:
        self.asked.append(text)
        self.voices.append(voice)
        if self.error:
            raise EngineError(self.error)
        yield sound_of(text)

    def preload(self) -> None:
        pass

    async def close(self) -> None:
        pass


@pytest.fixture
def voicebox(monkeypatch: pytest.MonkeyPatch) -> Voicebox:
    box = Voicebox()
    for engine in ("hibari", "openai"):
        monkeypatch.setitem(TTS_ENGINES, engine, lambda settings, http: box)
        monkeypatch.setitem(TTS_PROBLEMS, engine, lambda settings, voice: "")
    return box


async def visit(
    loop: VirtualLoop, handler: MenuHandler, ms: float, *presses: tuple[float, str], answers: tuple = ()
) -> tuple[Caller, End | None]:
    caller = Caller(loop, library_of(SOUNDS), None, *answers)
    acts: list[tuple[float, Callable[[], None]]] = [
        (at, partial(caller.say, digits(keys))) for at, keys in presses
    ]
    try:
        return caller, await caller.call(handler.run, ms, *acts)
    finally:
        await caller.session.call.speech.close()


def heard(caller: Caller) -> bytes:
    """All that was sounding."""
    return b"".join(to_bytes(frame) for frame in caller.heard.reshape(-1, 160) if frame.any())


def pcm(*sounds: str) -> bytes:
    """Prompts by name, texts in brackets; prompts are half a second, texts a tenth."""
    return b"".join(to_bytes(SOUNDS[each]) if each in SOUNDS else sound_of(each) for each in sounds)


@in_virtual_time
async def test_spoken_prompts_stand_wherever_a_menu_names_prompts(loop: VirtualLoop, voicebox: Voicebox) -> None:
    caller, end = await visit(loop, flow(MAIN), 6000, (900, "5"), (2200, "2"))
    assert end is not None
    assert end.code == 1000
    again = ("That is no way.", "main", "Press one.")
    assert heard(caller) == pcm("main", "Press one.", *again, "Good bye, value.")  # to the sample
    assert voicebox.asked == ["Press one.", "That is no way.", "Good bye, value."]  # each made once


@in_virtual_time
async def test_a_webhook_s_texts_have_its_values(loop: VirtualLoop, voicebox: Voicebox) -> None:
    """Variables of this and of earlier answers override the stream's."""
    answers = (
        {
            "play": [{"say": "You have {amount:currency:EUR}."}, "bye"],
            "variables": {"amount": 12.5},
            "menu": "main",
        },
        {
            "play": {"say": "{name}, {amount} and {count}."},
            "variables": {"name": "Ann", "count": 3},
            "hangup": True,
        },
    )
    caller, _ = await visit(loop, flow(MAIN), 8000, (900, "1"), (3000, "1"), answers=answers)
    twelve = "You have twelve euros and fifty cents."
    assert heard(caller) == pcm("main", "Press one.", twelve, "bye", "main", "Press one.", "Ann, 12.5 and 3.")
    assert caller.backend.questions[1][1]["variables"] == {"name": "value", "amount": 12.5}
    assert caller.backend.events_of("webhook.failed") == []


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ({"say": "{amount}"}, "no value for {amount}"),
        ({"say": "{name:number}"}, "{name} cannot be spoken as number: "),
        ({"say": "{name:nummer}"}, '{name}: there is no format "nummer" (did you mean "number"?)'),
        ({"say": "{flag}"}, "no value for {flag}"),
        ({"say": "{name"}, "the braces do not match"),
        ({"say": ""}, "the text is empty"),
        ({"say": "a" * 1001}, "the text has 1001 characters"),
        ({"say": "Hi", "engine": "command"}, "speech.command.program is empty"),
        ({"say": "Hi", "engine": "festival"}, "engine: "),
        ({"say": "Hi", "vioce": "emma"}, "vioce: "),
        ({"said": "Hi"}, "play[1].say is missing"),
    ],
)
@in_virtual_time
async def test_an_answer_that_cannot_be_spoken_is_not_valid(
    loop: VirtualLoop, voicebox: Voicebox, answer: dict[str, Any], why: str
) -> None:
    more = 'on_webhook_error = { play = {say = "Sorry."}, hangup = true }\n'
    answers = ({"play": ["bye", answer], "variables": {"flag": True}, "hangup": True},)
    caller, end = await visit(loop, flow(MAIN, more), 3000, (900, "1"), answers=answers)
    assert heard(caller) == pcm("main", "Press one.", "Sorry.")
    assert end is not None
    assert end.code == 1000
    (failed,) = caller.backend.events_of("webhook.failed")
    assert why in failed["why"]


@in_virtual_time
async def test_a_text_is_spoken_with_its_own_settings_or_else_the_path_s(
    loop: VirtualLoop, voicebox: Voicebox
) -> None:
    manner = 'voice = "emma"\nrate = 0.9\nlanguage = "en-GB"\nengine = "openai"\n'
    text = """
[menus.main]
play = [{say = "One."}, {say = "Two.", voice = "kore", rate = 1.5}, {say = "Three.", engine = "hibari"}]
keys.1 = { hangup = true }
"""
    await visit(loop, flow(text, manner), 1000)
    said = dict(zip(voicebox.asked, voicebox.voices, strict=True))
    assert said["One."] == Voice("openai", "emma", 0.9, "en-GB")
    assert said["Two."] == Voice("openai", "kore", 1.5, "en-GB")
    assert said["Three."] == Voice("hibari", "", 0.9, "en-GB")  # a voice is of its engine


@pytest.mark.parametrize("error", ["", "no voice today"])
@in_virtual_time
async def test_the_fallback_is_played_where_a_text_cannot_be_spoken(
    loop: VirtualLoop, voicebox: Voicebox, error: str
) -> None:
    """For want of a value that no webhook has given, or of an engine."""
    voicebox.error = error
    text = MAIN.replace("Good bye, {name}.", "You have {amount}." if not error else "Good bye.")
    caller, end = await visit(loop, flow(text, 'fallback = "wrong"\n'), 4000, (1300, "2"))
    assert end is not None
    assert end.code == 1000
    first = ("main", "wrong" if error else "Press one.")
    assert heard(caller) == pcm(*first, "wrong")
    assert caller.backend.events_of("speech.failed")[-1]["why"].startswith(error or "no value for {amount}")


# -- before there is a call ----------------------------------------------------------------


def configured(settings: str, tmp_path: Path) -> Configuration:
    loaded, problems = config.load(write_config(tmp_path, f'[paths."/m/{{n}}"]\nhandler = "menu"\n{settings}'))
    return Configuration.build(loaded, "config.toml", problems)


def speaking(spoken_prompt: str) -> str:
    return f'menus.main.play = ["main", {spoken_prompt}]\nmenus.main.keys.1 = {{hangup = true}}\n'


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (speaking('{say = "{amount:curency}"}'), 'there is no format "curency" (did you mean "currency"?)'),
        (speaking('{say = ""}'), "the text is empty: there is nothing to say"),
        (speaking('{say = "Hi", rate = 3}'), "rate"),
        (speaking('{say = "Hi", engine = "command"}'), "speech.command.program is empty"),
        ('engine = "command"\n' + speaking('{say = "Hi"}'), "speech.command.program is empty"),
        ('language = "no one"\n' + speaking('{say = "Hi"}'), "language: should be a BCP 47 tag"),
        ('menus.main.keys.1 = {play = {say = "{a:b}"}, hangup = true}\n', 'there is no format "b"'),
        (speaking('{say = "Hi {x}", voice = "{voice}"}'), "uses {voice}, which the path does not have"),
    ],
)
def test_mistakes_in_a_menu_s_texts_are_found_at_start(settings: str, why: str, tmp_path: Path) -> None:
    found = configured(settings, tmp_path).problems
    assert any(why in problem for problem in found), found
    assert all(problem.startswith('config.toml: paths."/m/{n}"') for problem in found)


BEHIND = """
menus.main.play = "main"
menus.main.keys.1.webhook = "http://b/"
menus.more.play = ["main", PHRASE]
menus.more.keys.1 = {hangup = true}
"""


@pytest.mark.parametrize(
    ("more", "later"),
    [
        (BEHIND, True),
        (BEHIND + 'menus.main.keys.2.menu = "more"\n', False),  # there is another way
        (BEHIND + "menus.main.invalid = PHRASE\n", False),
        (BEHIND + 'menus.main.keys.3 = {play = PHRASE, webhook = "http://b/"}\n', False),  # heard before it asks
        (BEHIND + "on_webhook_error = {play = PHRASE, hangup = true}\n", True),
        ('menus.main.play = ["main", PHRASE]\nmenus.main.keys.1.webhook = "http://b/"\n', False),
    ],
)
def test_values_must_be_there_before_a_call_except_behind_a_webhook(
    tmp_path: Path, voicebox: Voicebox, more: str, later: bool
) -> None:
    spoken_prompt = '{say = "{n:number} and {amount:number}."}'
    (alone,) = configured(speaking(spoken_prompt), tmp_path).table
    (asking,) = configured(more.replace("PHRASE", spoken_prompt), tmp_path).table
    snapshot = PromptSnapshot({"main": library_of(SOUNDS).prompts["main"]})
    for route in (alone, asking):
        route.build_handler({"n": "1"}, {"amount": "2"}, snapshot)
        with pytest.raises(RefusedError, match=r"\{amount\} cannot be spoken as number") as refused:
            route.build_handler({"n": "1"}, {"amount": "much"}, snapshot)
        assert refused.value.status == 400
    for route in (alone, asking)[: 1 if later else 2]:
        with pytest.raises(RefusedError, match=r"no value for \{amount\}"):
            route.build_handler({"n": "1"}, {}, snapshot)
    if later:
        asking.build_handler({"n": "1"}, {}, snapshot)


@in_virtual_time
async def test_without_a_value_and_without_a_fallback_one_line_says_why_the_stream_ends(
    loop: VirtualLoop, voicebox: Voicebox
) -> None:
    caller = Caller(loop, library_of(SOUNDS))
    handler = flow(MAIN.replace("Good bye, {name}.", "You have {amount}."))
    with capture_logs() as told:
        ending = asyncio.create_task(run_handler(caller.session, handler))
        await caller.stage.until(1000)
        caller.session.push_digits("2")
        end = await ending
    await caller.session.call.speech.close()
    assert (end.reason, end.code) == ("error", 1011)
    (line,) = [line for line in told if line["log_level"] == "error"]
    assert line == {
        "event": "handler failed",
        "log_level": "error",
        "stream": "id",
        "path": "/path",
        "why": 'a text cannot be said in menu "main": no value for {amount}',
    }
