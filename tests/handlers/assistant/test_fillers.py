"""Fillers under virtual time: what a caller hears while the model thinks, frame by frame."""

import gc
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import from_bytes, to_bytes
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.handlers.assistant import Assistant
from mediaserver.routing.requirements import missing_prompts
from mediaserver.routing.route import Route
from mediaserver.speech.llm.chat import ToolCall
from mediaserver.wire.encapsulation import WireSettings
from tests.handlers.assistant.scripted import ScriptedCall
from tests.handlers.assistant.test_conversation import HELP, OVER, ms
from tests.handlers.test_handlers import SOUNDS, library_of
from tests.virtual import VirtualLoop, in_virtual_time

Patch = pytest.MonkeyPatch
ASKED = 1490 + OVER  # ms: the frame in which an answer without any delay would begin
YES = "Yes, I can."
MUSIC = np.resize(SOUNDS["music/a"], (50, 160))  # a second, in frames
WELCOME_MS = 200
FILLER: dict[str, Any] = {"filler": "music/a", "filler_after": 1.5}


def frames_of(scripted: ScriptedCall, start: int, end: int) -> np.ndarray:
    """What the caller heard from one ms to another, in frames."""
    return scripted.caller.heard.reshape(-1, 160)[start // 20 : end // 20]


@in_virtual_time
async def test_a_filler_is_heard_until_the_answer_begins(loop: VirtualLoop, monkeypatch: Patch) -> None:
    """It begins when the model has thought for 1.5 s, and fades out in the next frame after that first sound."""
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [[2.0, YES]])
    await scripted.call(6000, 1000, **FILLER)
    began, yielded = ASKED + 1500, ASKED + 2000
    assert scripted.heard() == [(began, yielded + 20 + ms(YES))]
    assert (frames_of(scripted, began, yielded) == MUSIC[:25]).all()
    (fading,) = frames_of(scripted, yielded, yielded + 20)
    assert (fading == from_bytes(fade_out(to_bytes(MUSIC[25])))).all()
    assert (frames_of(scripted, yielded + 20, yielded + 20 + ms(YES)) == 0x0101).all()
    assert scripted.events_of("turn")[0]["first_audio_ms"] == OVER + 2000 + 21


@in_virtual_time
async def test_a_filler_yields_without_silence_where_turns_of_the_loop_are_slow(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    """On a busy machine, frames become due between two turns of the event loop, at any of them."""
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [[2.0, YES]])
    loop.call_later((ASKED + 1900) / 1000, setattr, loop, "turn_ns", 12_000_000)
    loop.call_later((ASKED + 2200) / 1000, setattr, loop, "turn_ns", 0)
    await scripted.call(6000, 1000, **FILLER)
    ((_, ended),) = scripted.heard()
    assert ended > ASKED + 2000 + ms(YES)


@in_virtual_time
async def test_a_filler_yields_to_the_sound_of_the_answer_not_to_its_text(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [[1.6, YES]])
    scripted.synthesiser.slow = 0.6
    await scripted.call(6000, 1000, **FILLER)
    assert (frames_of(scripted, ASKED + 1500, ASKED + 2200) == MUSIC[:35]).all()
    assert scripted.heard() == [(ASKED + 1500, ASKED + 2220 + ms(YES))]


@pytest.mark.parametrize("delay", [0, 1460])
@in_virtual_time
async def test_an_answer_in_time_is_as_without_a_filler(loop: VirtualLoop, monkeypatch: Patch, delay: int) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [[delay / 1000, YES]])
    await scripted.call(6000, 1000, **FILLER)
    assert scripted.heard() == [(ASKED + delay, ASKED + delay + ms(YES))]


@in_virtual_time
async def test_fillers_take_turns_through_the_conversation(loop: VirtualLoop, monkeypatch: Patch) -> None:
    """Each is heard after 0.5 s without any sound: the second one in the same pause, the third in the next."""
    scripted = ScriptedCall(loop, monkeypatch, [HELP, "more"], [[1.5, YES], [1.6, YES]])
    fillers = ["welcome", {"say": "Wait."}]
    await scripted.call(9000, 1000, 5000, filler=fillers, filler_after=0.505, greeting="Hi.")
    assert scripted.synthesiser.asked == ["Hi.", "Wait.", YES]
    second = ASKED + 500 + WELCOME_MS + 520
    third = ASKED + 4000 + 500
    assert scripted.heard() == [
        (0, ms("Hi.")),
        (ASKED + 500, ASKED + 500 + WELCOME_MS),
        (second, second + ms("Wait.")),
        (ASKED + 1500, ASKED + 1500 + ms(YES)),
        (third, third + WELCOME_MS),
        (third + WELCOME_MS + 520, third + WELCOME_MS + 520 + ms("Wait.")),
        (ASKED + 5600, ASKED + 5600 + ms(YES)),
    ]
    for at in (ASKED + 500, third):
        assert (frames_of(scripted, at, at + WELCOME_MS).reshape(-1) == SOUNDS["welcome"]).all()
    for at in (second, third + WELCOME_MS + 520):
        assert (frames_of(scripted, at, at + ms("Wait.")) == 0x0101).all()


@in_virtual_time
async def test_a_caller_who_barges_in_stops_the_filler_and_the_model(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [[9.0, YES], [0.5, "Well."]])
    await scripted.call(8000, 1000, (4000, "#"), **FILLER)
    (began, stopped), (answered, _) = scripted.heard()
    assert began == ASKED + 1500
    played = frames_of(scripted, began, stopped)
    assert (played[:-1] == MUSIC[: len(played) - 1]).all()
    assert (played[-1] == from_bytes(fade_out(to_bytes(MUSIC[len(played) - 1])))).all()
    assert 4000 < stopped < 4200 < answered
    assert scripted.model.left == 1
    assert scripted.model.messages == [("user", f"{HELP} [pressed #]")]


@in_virtual_time
async def test_without_barge_in_nothing_stops_the_filler(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [[2.5, YES]])
    await scripted.call(8000, 1000, (4000, "#"), **FILLER, barge_in=False)
    assert scripted.heard() == [(ASKED + 1500, ASKED + 2500 + ms(YES))]  # all of the filler, which ends by then


@in_virtual_time
async def test_a_tool_is_run_without_waiting_for_the_filler(loop: VirtualLoop, monkeypatch: Patch) -> None:
    play = ToolCall("a", "play_prompt", '{"name": "welcome"}')
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [[2.0, play], [YES]])
    await scripted.call(8000, 1000, **FILLER, tools={"play": ["welcome"]})
    faded = ASKED + 2000 + 20
    assert scripted.heard()[0] == (ASKED + 1500, faded + WELCOME_MS)
    assert (frames_of(scripted, faded, faded + WELCOME_MS).ravel() == SOUNDS["welcome"]).all()


@in_virtual_time
async def test_an_apology_stops_the_filler_as_well(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [[2.0, RuntimeError("down")]])
    await scripted.call(8000, 1000, **FILLER, apology="Sorry.")
    assert scripted.heard() == [(ASKED + 1500, ASKED + 2020 + ms("Sorry."))]


@in_virtual_time
async def test_a_filler_is_no_part_of_what_the_assistant_said(
    loop: VirtualLoop, monkeypatch: Patch, tmp_path: Path
) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP, "more"], [[2.0, YES], [YES]])
    filler = {"filler": {"say": "One moment, {name}."}, "filler_after": 0.5}
    await scripted.call(9000, 1000, 6000, **filler, directory=tmp_path, file="{stream}.jsonl")
    assert "One moment, value." in scripted.synthesiser.asked
    assert scripted.model.messages == [("user", HELP), ("assistant", YES), ("user", "more")]
    assert [turn["assistant"] for turn in scripted.events_of("turn")] == [YES, YES]
    lines = [json.loads(line) for line in (tmp_path / "id.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines] == [HELP, YES, "more", YES]


@in_virtual_time
async def test_a_filler_that_cannot_be_spoken_leaves_silence(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [[2.0, YES]])
    scripted.synthesiser.fails = {"Wait."}
    await scripted.call(8000, 1000, filler={"say": "Wait."}, filler_after=0.5)
    assert scripted.heard() == [(ASKED + 2000, ASKED + 2000 + ms(YES))]
    assert scripted.events_of("failed") == []


@pytest.mark.parametrize("at", [3000, 4000, 4210, 5000])
@in_virtual_time
async def test_a_caller_who_hangs_up_leaves_nothing_behind(loop: VirtualLoop, monkeypatch: Patch, at: int) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [[2.0, YES]])
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await scripted.call(at, 1000, **FILLER)  # asserts that no task is left
        gc.collect()
        kinds = [type(each) for each in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    ours = ("mediaserver.call", "mediaserver.handlers", "mediaserver.speech", "mediaserver.errors")
    assert [kind for kind in kinds if kind.__module__.startswith(ours)] == []


# -- settings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"filler": "welcome"}, 'filler needs "filler_after"'),
        ({"filler_after": 1.5}, 'filler_after needs "filler"'),
        ({"filler": [], "filler_after": 1.5}, 'filler_after needs "filler"'),
        ({"filler": "welcome", "filler_after": 0}, "greater than 0"),
        ({"filler": {"say": ""}, "filler_after": 1.5, "voice": 3}, "valid string"),
    ],
)
def test_mistakes_in_settings(settings: dict[str, Any], why: str) -> None:
    with pytest.raises(ValidationError, match=why):
        Assistant(**({"instructions": "Be brief."} | settings))


def test_a_filler_that_can_never_be_spoken_is_a_mistake() -> None:
    handler = Assistant(instructions="Be brief.", filler={"say": "…"}, filler_after=1.0)
    with pytest.raises(ValueError, match="the text is empty"):
        handler.prepare(SpeechSettings())
    named = Assistant(instructions="Be brief.", filler={"say": "Wait, {who}."}, filler_after=1.0)
    with pytest.raises(ValueError, match="who"):
        named.validate_request({}, {}, SpeechSettings())
    named.validate_request({}, {"who": "Ann"}, SpeechSettings())


@pytest.mark.parametrize(("filler", "key"), [("typing", "filler"), (["welcome", "typing"], "filler[1]")])
def test_a_filler_that_is_not_there_is_a_mistake(filler: Any, key: str) -> None:
    settings = {"instructions": "Be brief.", "filler": filler, "filler_after": 1.5}
    route = Route("/talk", Assistant, settings, WireSettings())
    (line,) = missing_prompts([route], library_of().snapshot, "config.toml")
    assert line.startswith(f'config.toml: paths."/talk": {key}: ')
    assert '"typing"' in line
