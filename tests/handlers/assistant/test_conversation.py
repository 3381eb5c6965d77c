"""Conversations under virtual time: what the caller hears when, and what the model gets."""

import gc
import itertools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from mediaserver.call import EndReason
from mediaserver.call.control.flow_control import FlowControl
from mediaserver.errors import EngineError, WebhookError
from mediaserver.handlers.assistant import Assistant
from mediaserver.speech.engines.requirements import EngineKind, EngineRequirement
from mediaserver.speech.llm.chat import ToolCall
from mediaserver.speech.tts.interface import Voice
from tests.handlers.assistant.scripted import BROKEN_OFF, LETTER, Piece, ScriptedCall
from tests.handlers.test_handlers import SOUNDS
from tests.handlers.test_transcript import captions
from tests.virtual import VirtualLoop, in_virtual_time

Patch = pytest.MonkeyPatch
HELP, BYE = "can you help me", "thank you goodbye"
OVER = 600 + 100 + 10  # ms from the last voice to words: the pause, recognition, a caller's frame amid two ticks


def ms(text: str) -> int:
    """The duration of a spoken text, in ms."""
    return len(text) * LETTER * 20


# -- turns -------------------------------------------------------------------------------------------------


@in_virtual_time
async def test_three_turns(loop: VirtualLoop, monkeypatch: Patch, tmp_path: Path) -> None:
    answers: list[list[Piece]] = [
        ["Yes, I ", "can. Wh", 0.2, "at is it?"],
        [0.5, "It is *sunny*."],
        ["Goodbye then."],
    ]
    scripted = ScriptedCall(loop, monkeypatch, [HELP, "the weather", BYE], answers)
    await scripted.call(
        14_000, 1000, 5000, 9000, greeting="Good morning.", directory=tmp_path, file="{resource}/{stream}.jsonl"
    )
    assert scripted.synthesiser.asked == [
        "Good morning.",
        "Yes, I can.",
        "What is it?",
        "It is sunny.",
        "Goodbye then.",
    ]
    starts = [0, 1490 + OVER, 5490 + OVER + 500, 9490 + OVER]
    lasts = [ms("Good morning."), ms("Yes, I can.What is it?"), ms("It is sunny."), ms("Goodbye then.")]
    assert scripted.heard() == [(start, start + last) for start, last in zip(starts, lasts, strict=True)]
    assert scripted.model.messages == [
        ("assistant", "Good morning."),
        ("user", HELP),
        ("assistant", "Yes, I can. What is it?"),
        ("user", "the weather"),
        ("assistant", "It is sunny."),
        ("user", BYE),
    ]
    assert scripted.model.asked[0][0] == {"role": "system", "content": "Be brief."}
    first, second, _ = scripted.events_of("turn")
    steps = {"words_ms": 700, "first_delta_ms": 700, "first_sentence_ms": 700, "first_audio_ms": OVER + 1}
    assert first == {"caller": HELP, "assistant": "Yes, I can. What is it?", "interrupted": False, **steps}
    assert (second["first_delta_ms"], second["first_audio_ms"]) == (1200, OVER + 501)
    lines = [json.loads(line) for line in (tmp_path / "path/id.jsonl").read_text().splitlines()]
    assert [(line["who"], line["text"], line.get("heard")) for line in lines[:3]] == [
        ("assistant", "Good morning.", "Good morning."),
        ("caller", HELP, None),
        ("assistant", "Yes, I can. What is it?", "Yes, I can. What is it?"),
    ]
    assert {(line["stream"], datetime.fromisoformat(line["time"]).tzinfo) for line in lines} == {("id", UTC)}
    assert (lines[1]["start_s"], lines[1]["end_s"]) == pytest.approx((1.03, 1.49), abs=0.05)
    assert (lines[2]["start_s"], lines[2]["end_s"]) == pytest.approx((2.2, 3.08), abs=0.021)
    assert len(lines) == 7


@in_virtual_time
async def test_texts_have_the_values_of_their_variables_and_are_spoken_by_the_voice_of_the_settings(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [["Yes, I can."]])
    voice: dict[str, Any] = {"voice": "anna", "rate": 1.5, "language": "de"}
    texts = {"instructions": "Help {name}, briefly.", "greeting": "Good morning, {name}."}
    await scripted.call(5000, 1000, **texts, **voice)
    assert scripted.synthesiser.asked == ["Good morning, value.", "Yes, I can."]
    assert scripted.synthesiser.voices == {Voice("hibari", "anna", 1.5, "de")}
    assert scripted.model.asked[0][0] == {"role": "system", "content": "Help value, briefly."}


def test_the_engines_are_required_in_the_language_of_the_settings() -> None:
    handler = Assistant(
        instructions="Be brief.", engine="openai", recognition_engine=["vosk"], voice="v", language="de"
    )
    assert list(handler.engines()) == [
        EngineRequirement(EngineKind.TTS, ("openai",), "de", "v"),
        EngineRequirement(EngineKind.STT, ("vosk",), "de"),
        EngineRequirement(EngineKind.LLM),
    ]


@in_virtual_time
async def test_the_lines_of_a_transcript_are_in_order_on_a_slow_disk(
    loop: VirtualLoop, monkeypatch: Patch, tmp_path: Path
) -> None:
    loop.jobs_last = itertools.chain([5.0], itertools.repeat(0.0))
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [["Yes, I can."]])
    await scripted.call(5000, 1000, greeting="Good morning.", directory=tmp_path, file="a.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["text"] for line in lines] == ["Good morning.", HELP, "Yes, I can."]


@in_virtual_time
async def test_a_transcript_that_cannot_be_written_is_reported_once(
    loop: VirtualLoop, monkeypatch: Patch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("in the way")
    scripted = ScriptedCall(loop, monkeypatch, [HELP, "the weather"], [["Yes, I can."], ["It is sunny."]])
    await scripted.call(8000, 1000, 5000, directory=tmp_path / "file", file="a.jsonl")
    assert [turn["assistant"] for turn in scripted.events_of("turn")] == ["Yes, I can.", "It is sunny."]
    failed = {"file": str(tmp_path / "file/a.jsonl"), "error": "File exists"}
    assert scripted.caller.backend.events_of("transcript.failed") == [failed]


@in_virtual_time
async def test_a_sentence_is_played_while_the_next_is_generated(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [["It is sunny today. ", "And", 60.0]])
    scripted.synthesiser.slow = 0.1
    await scripted.call(4000, 1000)
    assert scripted.heard() == [(1490 + OVER + 100, 1490 + OVER + 100 + ms("It is sunny today."))]


@in_virtual_time
async def test_words_during_the_generation_are_part_of_the_question(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, ["I want", "my balance"], [[2.0, "What?"], ["It is five."]])
    await scripted.call(8000, 1000, 3000)
    assert scripted.model.messages == [("user", "I want my balance")]
    assert [turn["interrupted"] for turn in scripted.events_of("turn")] == [True, False]
    assert "first_audio_ms" not in scripted.events_of("turn")[0]
    assert scripted.model.left == 1


# -- interruptions -----------------------------------------------------------------------------------------

LONG = ["It is sunny today. And it will be warm until Sunday at noon. Then comes the rain."]
FIRST, SECOND = "It is sunny today.", "And it will be warm until Sunday at noon."


@pytest.mark.parametrize("more", [0.0, 7.0, 13.0])
@in_virtual_time
async def test_a_caller_interrupts(loop: VirtualLoop, monkeypatch: Patch, more: float) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP, "stop"], [[*LONG, 60.0], ["Well."]])
    at = 4000.0 + more
    await scripted.call(7000, 1000, at)
    (start, stop), _ = scripted.heard()
    assert start == 1490 + OVER
    # Speech must change for some frames, so that it is no tone; the answer fades out in one more.
    assert 20 < stop - at <= 120
    share = (stop - start - ms(FIRST)) / ms(SECOND)
    heard = "And it will be warm until…"
    assert len(heard) - 1 <= share * len(SECOND) < len(f"{heard}Sunday")
    told = f"{FIRST} {heard} [interrupted by the caller]"
    assert scripted.model.messages == [("user", HELP), ("assistant", told), ("user", "stop")]
    assert scripted.events_of("turn")[0]["assistant"] == told
    assert scripted.events_of("turn")[0]["interrupted"]
    assert scripted.model.left == 1  # nobody waits for the rest


@in_virtual_time
async def test_an_answer_is_resumed_after_a_noise(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP, "", BYE], [LONG, ["Bye."]])
    await scripted.call(16_000, 1000, 4000, 13_000)
    assert scripted.synthesiser.asked == [
        FIRST,
        SECOND,
        "Then comes the rain.",
        "Bye.",
    ]  # and again, as it was made
    (_, stop), (resumed, end), _ = scripted.heard()
    assert stop == pytest.approx(4080, abs=40)
    assert resumed == pytest.approx(4490 + OVER, abs=20)
    assert end - resumed == ms(SECOND + "Then comes the rain.")
    assert scripted.model.messages == [("user", HELP), ("assistant", LONG[0]), ("user", BYE)]


@in_virtual_time
async def test_an_answer_is_resumed_twice_and_then_it_is_the_caller_s_turn(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    """A line that is never quiet does not hear the same sentence for ever."""
    noises = [4000, 6000, 8000, 10_000]
    scripted = ScriptedCall(loop, monkeypatch, [HELP, *[""] * 4, BYE], [LONG, ["Bye."]])
    await scripted.call(17_000, 1000, *noises, 15_000)
    spans = scripted.heard()
    assert [start for start, _ in spans] == [
        1490 + OVER,
        *(pytest.approx(at + 1200, abs=40) for at in noises[:2]),
        15_490 + OVER,
    ]
    assert spans[2][1] < noises[2] + 120
    (_, told), (_, heard), (_, bye) = scripted.model.messages
    assert (told, bye) == (HELP, BYE)
    assert heard.startswith(f"{FIRST} And it will be")
    assert heard.endswith("… [interrupted by the caller]")


@in_virtual_time
async def test_a_noise_during_the_generation_does_not_end_the_answer(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    scripted = ScriptedCall(
        loop, monkeypatch, [HELP, "", "", BYE], [[1.0, "Yes."], [1.0, "Yes, I can."], ["Bye."]]
    )
    await scripted.call(11_000, 1000, 2500, 8000)
    assert scripted.model.asked[1] == scripted.model.asked[0]
    assert scripted.heard() == [(2990 + OVER + 1000, 2990 + OVER + 1000 + ms("Yes, I can."))]
    assert [turn["interrupted"] for turn in scripted.events_of("turn")] == [True, False]


@in_virtual_time
async def test_a_noise_in_the_last_words_does_not_prevent_the_tool_calls(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    goodbye = "Thank you for calling us, and goodbye."
    scripted = ScriptedCall(loop, monkeypatch, [BYE, ""], [[goodbye, ToolCall("a", "hang_up", "{}")]])
    end = await scripted.call(8000, 1000, 2500, tools={"hang_up": True})
    assert end is not None
    assert scripted.events_of("hangup") == [{"why": "hang_up"}]


@in_virtual_time
async def test_a_caller_who_goes_on_during_recognition_is_not_talked_over(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    scripted = ScriptedCall(loop, monkeypatch, ["I want", "my balance"], [["It is five."]])
    scripted.recogniser.slow = 1.0
    await scripted.call(7000, 1000, 2700)
    assert scripted.model.messages == [("user", "I want my balance")]
    assert scripted.heard() == [(3190 + OVER + 900, 3190 + OVER + 900 + ms("It is five."))]


# -- keys --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("keys", "after"), [("12#", 0), ("12", 2000)])
@in_virtual_time
async def test_keys_interrupt_and_are_a_turn(loop: VirtualLoop, monkeypatch: Patch, keys: str, after: int) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [LONG, ["Well."]])
    await scripted.call(8000, 1000, (4000, keys))
    (start, stop), (well, _) = scripted.heard()
    assert start == 1490 + OVER
    assert 30 < stop - 4000 <= 80
    last = 4000 + (len(keys) - 1) * 200
    assert 30 < well - after - last <= 100
    assert scripted.model.messages[-1] == ("user", f"[pressed {' '.join(keys)}]")
    assert scripted.events_of("turn")[1]["caller"] == f"[pressed {' '.join(keys)}]"
    assert "[interrupted by the caller]" in scripted.model.messages[-2][1]


@in_virtual_time
async def test_keys_and_words_are_turns_in_their_order(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, ["it is"], [["Seven."]])
    await scripted.call(6000, 1000, (1500, "7#"))
    assert scripted.model.messages == [("user", "it is [pressed 7 #]")]
    assert scripted.synthesiser.asked == ["Seven."]


@in_virtual_time
async def test_without_barge_in_keys_are_ignored(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [LONG, ["Bye."]])
    await scripted.call(12_000, 1000, (3000, "1#"), (8000, "2#"), barge_in=False)
    assert scripted.model.messages == [("user", HELP), ("assistant", LONG[0]), ("user", "[pressed 2 #]")]


@in_virtual_time
async def test_the_history_has_what_was_heard_of_a_greeting(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [["Yes."]])
    await scripted.call(4000, 600, greeting="Good morning to all of you.")
    assert scripted.model.messages == [
        ("assistant", "Good morning to… [interrupted by the caller]"),
        ("user", HELP),
    ]


@in_virtual_time
async def test_without_barge_in_speech_is_ignored(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP, BYE], [LONG, ["Bye."]])
    await scripted.call(10_000, 1000, 3000, 7000, barge_in=False)
    assert scripted.heard()[0] == (1490 + OVER, 1490 + OVER + ms("".join((FIRST, SECOND, "Then comes the rain."))))
    assert scripted.model.messages == [("user", HELP), ("assistant", LONG[0]), ("user", BYE)]


# -- stages that fail --------------------------------------------------------------------------------------

SORRY = "I am sorry, could you say that again?"


@pytest.mark.parametrize(
    ("words", "answers", "stage", "why"),
    [
        ([EngineError("it is down")], [], "recognition", "it is down"),
        ([60.0], [], "recognition", "no words within 5 s of the end"),
        ([HELP], [[EngineError("it is down")]], "chat", "it is down"),
        ([HELP], [["**…** \n"]], "chat", "there is no word in the answer"),
    ],
)
@in_virtual_time
async def test_the_apology_is_played_where_a_stage_fails(
    loop: VirtualLoop, monkeypatch: Patch, words: Any, answers: Any, stage: str, why: str
) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [*words, "again"], [*answers, ["Now I know."]])
    await scripted.call(14_000, 1000, 9500)
    assert scripted.synthesiser.asked == [SORRY, "Now I know."]
    assert scripted.events_of("failed") == [{"stage": stage, "why": why}]
    assert scripted.model.messages[-2:] == [("assistant", SORRY), ("user", "again")]


@in_virtual_time
async def test_a_transcript_has_failures_and_interrupted_answers(
    loop: VirtualLoop, monkeypatch: Patch, tmp_path: Path
) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [EngineError("it is down"), HELP], [["Yes."]])
    settings = {"greeting": "Good morning to all of you.", "directory": tmp_path, "file": "a.jsonl"}
    await scripted.call(9000, 600, 5000, **settings)
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert [line["who"] for line in lines] == ["assistant", "failure", "assistant", "caller", "assistant"]
    assert [line["interrupted"] for line in lines if line["who"] == "assistant"] == [True, False, False]
    assert (lines[1]["stage"], lines[1]["why"]) == ("recognition", "it is down")
    assert {(line["stream"], line["path"]) for line in lines} == {("id", "/path")}
    shown = captions((tmp_path / "a.vtt").read_text())
    said = [line for line in lines if line["who"] != "failure"]
    assert [text for _, _, text in shown] == [line.get("heard", line["text"]) for line in said]
    times = [time for start, end, _ in shown for time in (start, end)]
    assert times == pytest.approx([time for line in said for time in (line["start_s"], line["end_s"])])
    assert shown[0][:2] == pytest.approx((0.0, 0.67))


@in_virtual_time
async def test_a_transcript_whose_disk_fails_is_given_up(
    loop: VirtualLoop, monkeypatch: Patch, tmp_path: Path
) -> None:
    """One that began in the middle would look like the whole of it."""
    (tmp_path / "file").write_text("in the way")
    loop.call_later(2.0, (tmp_path / "file").unlink)
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [["Yes."]])
    await scripted.call(6000, 3000, greeting="Good morning.", directory=tmp_path / "file", file="a.jsonl")
    assert scripted.events_of("turn")[0]["assistant"] == "Yes."
    assert list(tmp_path.iterdir()) == []


@in_virtual_time
async def test_half_an_answer_is_played_where_the_model_fails(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [["It is sunny today. And then", EngineError("broke off")]])
    await scripted.call(6000, 1000)
    assert scripted.events_of("turn")[0]["assistant"] == f"It is sunny today. And then {SORRY}"


@pytest.mark.parametrize("prompt", ["welcome", ""])
@in_virtual_time
async def test_the_fallback_is_played_where_tts_fails(loop: VirtualLoop, monkeypatch: Patch, prompt: str) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [LONG])
    scripted.synthesiser.error = "it is down"
    await scripted.call(6000, 1000, fallback=prompt)
    assert scripted.events_of("failed") == [{"stage": "speech", "why": "it is down"}]
    assert scripted.events_of("turn")[0]["assistant"] == ""
    first, last = scripted.heard()[0][0], scripted.heard()[-1][1]
    assert first == 1490 + OVER + 20
    if prompt:
        assert scripted.caller.heard[first * 8 : last * 8].tobytes() == SOUNDS[prompt].tobytes()
    else:
        assert 700 < last - first < 1100  # two beeps


@in_virtual_time
async def test_the_fallback_is_played_once_until_the_caller_speaks(loop: VirtualLoop, monkeypatch: Patch) -> None:
    order = ToolCall("a", "order_pizza", "{}")
    scripted = ScriptedCall(
        loop, monkeypatch, [HELP, BYE], [["One moment.", order], ["It is done.", order], ["Bye."], LONG]
    )
    scripted.synthesiser.error = "it is down"
    await scripted.call(8000, 1000, 5000, fallback="welcome")
    heard = scripted.caller.heard.tobytes()
    assert heard.count(SOUNDS["welcome"].tobytes()) == 2
    assert len(scripted.model.asked) == 4


@in_virtual_time
async def test_the_fallback_is_played_for_a_greeting_that_tts_fails_at(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    scripted = ScriptedCall(loop, monkeypatch)
    scripted.synthesiser.error = "it is down"
    await scripted.call(2000, greeting="Good morning.", fallback="welcome")
    assert SOUNDS["welcome"].tobytes() in scripted.caller.heard.tobytes()


@in_virtual_time
async def test_a_model_that_does_not_stop_has_failed(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [[ToolCall("a", "order_pizza", "{}")]] * 10)
    await scripted.call(6000, 1000, max_failures=1)
    assert scripted.events_of("hangup") == [{"why": "failures"}]


@pytest.mark.parametrize("answer", [{"hangup": True}, WebhookError("it is down")])
@in_virtual_time
async def test_the_assistant_gives_up_after_failures_in_a_row(
    loop: VirtualLoop, monkeypatch: Patch, answer: Any
) -> None:
    broken = [[EngineError("it is down")]] * 2
    scripted = ScriptedCall(loop, monkeypatch, [HELP, "", HELP], broken, [answer])
    transfer = {"on_failure": "transfer", "tools": {"transfer": "http://backend/transfer"}}
    end = await scripted.call(12_000, 1000, 5500, 7500, max_failures=2, **transfer)
    assert (end and end.reason, end and end.code) == (EndReason.FINISHED, 1000)
    assert [told["stage"] for told in scripted.events_of("failed")][:2] == ["chat", "chat"]
    assert scripted.events_of("hangup") == [{"why": "transfer" if isinstance(answer, dict) else "failures"}]
    assert scripted.caller.backend.questions[0][1]["reason"] == "the assistant does not work"


@in_virtual_time
async def test_a_success_restarts_the_count_of_failures(loop: VirtualLoop, monkeypatch: Patch) -> None:
    answers: list[list[Piece]] = [[EngineError("down")], ["Now I know."], [EngineError("down")]]
    scripted = ScriptedCall(loop, monkeypatch, [HELP] * 3, answers)
    assert await scripted.call(13_000, 1000, 5000, 8000, max_failures=2) is None
    assert len(scripted.events_of("failed")) == 2


@in_virtual_time
async def test_failures_of_all_stages_count_in_a_row(loop: VirtualLoop, monkeypatch: Patch) -> None:
    """Recognition, the model, speech: the third is the last."""
    words: list[str | float | Exception] = [EngineError("down"), HELP, HELP]
    scripted = ScriptedCall(loop, monkeypatch, words, [[EngineError("down")], LONG])
    loop.call_later(8.0, setattr, scripted.synthesiser, "error", "down")
    end = await scripted.call(16_000, 1000, 5000, 9000)
    assert end is not None
    assert [told["stage"] for told in scripted.events_of("failed")] == ["recognition", "chat", "speech"]
    assert scripted.events_of("hangup") == [{"why": "failures"}]
    assert scripted.caller.session._lifetime.hanging_up
    assert scripted.caller.backend.questions == []  # nobody is asked to transfer the call


@in_virtual_time
async def test_an_answer_that_another_model_continues_goes_on_with_its_next_sentence(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    """Nothing is spoken of the sentence that broke off, and nothing twice."""
    answers: list[list[Piece]] = [["It is sunny. Tomor", BROKEN_OFF, "Tomorrow ", 0.1, "it rains."]]
    scripted = ScriptedCall(loop, monkeypatch, [HELP], answers)
    await scripted.call(6000, 1000)
    assert scripted.model.resumed == ["It is sunny."]
    assert scripted.synthesiser.asked == ["It is sunny.", "Tomorrow it rains."]
    assert scripted.heard() == [(1490 + OVER, 1490 + OVER + ms("It is sunny.Tomorrow it rains."))]
    assert [turn["assistant"] for turn in scripted.events_of("turn")] == ["It is sunny. Tomorrow it rains."]
    assert scripted.events_of("failed") == []


@in_virtual_time
async def test_an_unexpected_exception_of_a_model_fails_the_handler(loop: VirtualLoop, monkeypatch: Patch) -> None:
    async def answer(*args: Any, **options: Any) -> Any:
        yield "It is "
        raise LookupError("ours")

    scripted = ScriptedCall(loop, monkeypatch, [HELP])
    monkeypatch.setattr(scripted.model, "stream_answer", answer)
    with pytest.raises(LookupError):
        await scripted.call(6000, 1000)
    assert scripted.caller.session.end is not None
    assert scripted.caller.session.end.reason == EndReason.ERROR


@in_virtual_time
async def test_a_caller_whose_words_cannot_be_recognised_has_interrupted(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP, EngineError("down"), BYE], [LONG, ["Bye."]])
    await scripted.call(12_000, 1000, 4000, 9000)
    (_, first), (_, told), (_, bye) = scripted.model.messages
    assert (first, bye) == (HELP, BYE)
    assert told.startswith(FIRST)
    assert told.endswith(f"[interrupted by the caller] {SORRY}")


# -- ends --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("text", "at"), [("Are you there?", 6820), ("", 3300)])
@in_virtual_time
async def test_an_idle_caller_is_asked_once(loop: VirtualLoop, monkeypatch: Patch, text: str, at: float) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [""])
    end = await scripted.call(at + 400, 1000, idle=3, idle_text=text, greeting="Yes" * 2)  # a noise is nothing
    assert end is not None
    assert scripted.synthesiser.asked == ["YesYes", *filter(None, [text])]
    assert scripted.events_of("hangup") == [{"why": "idle"}]
    assert len(scripted.caller.heard) / 8 == pytest.approx(at + 200, abs=80)


@in_virtual_time
async def test_a_caller_who_answered_may_be_asked_again(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [["Yes."]])
    end = await scripted.call(20_000, 4500, idle=3, idle_text="There?")
    assert end is not None
    assert [stop - start for start, stop in scripted.heard()] == [ms("There?"), ms("Yes."), ms("There?")]
    yes, again = scripted.heard()[1:]
    assert again[0] - yes[1] == pytest.approx(3000, abs=40)
    assert len(scripted.caller.heard) / 8 == pytest.approx(again[1] + 3000 + 200, abs=60)


@in_virtual_time
async def test_a_noise_does_not_extend_the_idle_time(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [""])
    await scripted.call(4500, 2500, idle=3, idle_text="Are you there?")
    assert scripted.heard()[0][0] == 2990 + OVER  # it is over 700 ms after their patience was
    assert scripted.events_of("hangup") == []


@in_virtual_time
async def test_max_turns_ends_the_conversation(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP] * 2, [["Yes."]] * 2)
    end = await scripted.call(7000, 1000, 4000, max_turns=2)
    assert end is not None
    assert scripted.events_of("hangup") == [{"why": "max_turns"}]
    assert len(scripted.heard()) == 2


@pytest.mark.parametrize("at", [100, 1200, 1800, 2195, 2300, 2600])
@in_virtual_time
async def test_a_hang_up_leaves_no_task_behind(loop: VirtualLoop, monkeypatch: Patch, at: int) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [["It is sunny today. ", 0.2, "And warm.", 60.0]])
    scripted.synthesiser.slow = 0.1
    await scripted.call(at, 1000, greeting="Good morning.")  # no task is left, it asserts


@pytest.mark.parametrize("at", [2000, 3300, 5000, 7000, 9000])
@in_virtual_time
async def test_a_conversation_leaves_no_cycles_of_references(
    loop: VirtualLoop, monkeypatch: Patch, at: int
) -> None:
    play = ToolCall("a", "play_prompt", '{"name": "welcome"}')
    words: list[Any] = [HELP, "stop", EngineError("down"), ""]
    scripted = ScriptedCall(loop, monkeypatch, words, [[*LONG, 60.0], ["Well.", play], [EngineError("down")]])
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        await scripted.call(at, 1000, 3000, 6000, 8500, tools={"play": ["welcome"]}, idle=1)
        gc.collect()
        kinds = [type(each) for each in gc.garbage]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    ours = ("mediaserver.call", "mediaserver.handlers", "mediaserver.speech", "mediaserver.errors")
    assert [kind for kind in kinds if kind.__module__.startswith(ours)] == []


# -- tools -------------------------------------------------------------------------------------------------


def tools_of(scripted: ScriptedCall) -> list[str]:
    return [tool["function"]["name"] for tool in scripted.model.tools]


@in_virtual_time
async def test_the_hang_up_tool_runs_after_the_answer_is_played(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [BYE], [["Goodbye.", ToolCall("a", "hang_up", "{}")]])
    end = await scripted.call(6000, 1000, tools={"hang_up": True})
    assert (end and end.reason, end and end.code) == (EndReason.FINISHED, 1000)
    assert tools_of(scripted) == ["hang_up"]
    assert scripted.heard() == [(1490 + OVER, 1490 + OVER + ms("Goodbye."))]
    assert len(scripted.caller.heard) / 8 == pytest.approx(1490 + OVER + ms("Goodbye.") + 200, abs=20)
    assert scripted.events_of("hangup") == [{"why": "hang_up"}]
    assert scripted.events_of("turn")[0]["assistant"] == "Goodbye."


@in_virtual_time
async def test_the_play_tool_plays_prompts(loop: VirtualLoop, monkeypatch: Patch) -> None:
    play = ToolCall("a", "play_prompt", '{"name": "welcome"}')
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [["Listen to this.", play], ["Well?"]])
    await scripted.call(6000, 1000, tools={"play": ["welcome", "odd"]})
    heard = [1490 + OVER + at for at in (0, ms("Listen to this."), ms("Listen to this.") + 200)]
    assert scripted.heard()[0][0] == heard[0]
    place = scripted.caller.heard.tobytes().find(SOUNDS["welcome"].tobytes()) / 16
    assert place == pytest.approx(heard[1], abs=40)
    assert scripted.model.tools[0]["function"]["parameters"]["properties"]["name"]["enum"] == ["welcome", "odd"]
    said, result = scripted.model.asked[-1][-2:]
    assert (said["content"], said["tool_calls"][0]["id"]) == ("Listen to this.", "a")
    assert result == {"role": "tool", "tool_call_id": "a", "content": "the caller heard all of it"}


@in_virtual_time
async def test_a_prompt_can_be_interrupted(loop: VirtualLoop, monkeypatch: Patch) -> None:
    play = ToolCall("a", "play_prompt", '{"name": "music/b"}')
    scripted = ScriptedCall(loop, monkeypatch, [HELP, "stop"], [[play, play._replace(id="b")], ["Well."]])
    await scripted.call(6000, 1000, 3000, tools={"play": ["music/b"]})
    assert scripted.heard()[0][1] <= 3010 + 100
    results = [message["content"] for message in scripted.model.asked[-1] if message["role"] == "tool"]
    assert results == ["the caller interrupted it after 1 seconds", "not done: the caller interrupted"]
    assert scripted.model.messages[-1] == ("user", "stop")


@in_virtual_time
async def test_an_interruption_prevents_the_tool_calls(loop: VirtualLoop, monkeypatch: Patch) -> None:
    hang_up = ToolCall("a", "hang_up", "{}")
    scripted = ScriptedCall(loop, monkeypatch, [BYE, "wait"], [[*LONG, hang_up], ["Yes?"]])
    assert await scripted.call(8000, 1000, 3500, tools={"hang_up": True}) is None
    assert scripted.events_of("hangup") == []
    assert all("tool_calls" not in message for message in scripted.model.asked[-1])


@in_virtual_time
async def test_the_tool_calls_of_a_failed_answer_are_not_run(loop: VirtualLoop, monkeypatch: Patch) -> None:
    hang_up = ToolCall("a", "hang_up", "{}")
    scripted = ScriptedCall(loop, monkeypatch, [BYE], [["Well.", hang_up, EngineError("broke off")]])
    assert await scripted.call(8000, 1000, tools={"hang_up": True}) is None
    assert scripted.synthesiser.asked == ["Well.", SORRY]
    assert scripted.events_of("hangup") == []


@in_virtual_time
async def test_notes_that_a_model_imitates_are_not_spoken(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(
        loop, monkeypatch, [HELP], [["Yes. [interrupted by the caller] ", "It **is**. ", "**…**"]]
    )
    await scripted.call(6000, 1000)
    assert scripted.synthesiser.asked == ["Yes. It is."]


@in_virtual_time
async def test_after_a_prompt_was_interrupted_it_is_the_caller_s_turn(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    """Even where it was by a noise: the model has been told, and is asked when there are words."""
    play = ToolCall("a", "play_prompt", '{"name": "music/b"}')
    scripted = ScriptedCall(loop, monkeypatch, [HELP, "", "stop"], [[play], ["Well."]])
    await scripted.call(8000, 1000, 3000, 6000, tools={"play": ["music/b"]})
    assert len(scripted.model.asked) == 2
    assert scripted.model.messages[-1] == ("user", "stop")
    assert [turn["caller"] for turn in scripted.events_of("turn")] == [HELP, "stop"]


TRANSFER = ToolCall("a", "transfer", '{"reason": "a refund"}')


@in_virtual_time
async def test_the_transfer_tool_asks_the_webhook(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [["One moment.", TRANSFER]], [{"say": "Please hold."}])
    end = await scripted.call(6000, 1000, tools={"transfer": "http://backend/transfer"}, greeting="Good morning.")
    assert end is not None
    ((url, question),) = scripted.caller.backend.questions
    assert url == "http://backend/transfer"
    assert question == {
        "event": "transfer",
        "reason": "a refund",
        "transcript": [
            {"who": "assistant", "text": "Good morning."},
            {"who": "caller", "text": HELP},
            {"who": "assistant", "text": "One moment."},
        ],
        "stream": "id",
        "path": "/path",
        "resource": "",
        "variables": {"name": "value"},
    }
    assert scripted.synthesiser.asked[-1] == "Please hold."
    assert scripted.events_of("transfer") == [{"reason": "a refund", "hangup": True}]
    assert not scripted.caller.session._lifetime.hanging_up  # it goes elsewhere
    assert scripted.events_of("hangup") == [{"why": "transfer"}]


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        ({"hangup": False, "say": "All are busy."}, "not transferred; the caller heard: All are busy."),
        ({"hangup": False}, "not transferred"),
        (WebhookError("it is down"), "failed: nobody can be reached"),
        ({"hangup": "maybe"}, "failed: nobody can be reached"),
        ([], "failed: nobody can be reached"),
    ],
)
@in_virtual_time
async def test_a_refused_transfer_is_a_result_for_the_model(
    loop: VirtualLoop, monkeypatch: Patch, answer: Any, result: str
) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [[TRANSFER], ["I am sorry."]], [answer])
    assert await scripted.call(6000, 1000, tools={"transfer": "http://backend/transfer"}) is None
    assert scripted.model.messages[-1] == ("tool", result)
    assert scripted.events_of("turn")[0]["assistant"] == "I am sorry."


@pytest.mark.parametrize(
    ("answer", "why"), [(WebhookError("it is down"), "it is down"), ([], "the answer is not understood")]
)
@in_virtual_time
async def test_a_transfer_that_fails_is_an_event(
    loop: VirtualLoop, monkeypatch: Patch, answer: Any, why: str
) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [[TRANSFER], ["I am sorry."]], [answer])
    await scripted.call(5000, 1000, tools={"transfer": "http://backend/transfer"})
    assert scripted.events_of("failed") == [{"stage": "transfer", "why": why}]
    assert scripted.events_of("transfer") == scripted.events_of("hangup") == []


@pytest.mark.parametrize(
    ("call", "result"),
    [
        (ToolCall("a", "order_pizza", "{}"), "there is no tool order_pizza, only hang_up, play_prompt"),
        (ToolCall("a", "transfer", "{}"), "there is no tool transfer, only hang_up, play_prompt"),
        (ToolCall("a", "play_prompt", "{"), "the arguments are not understood: "),
        (ToolCall("a", "play_prompt", '{"name": 1}'), "the arguments are not understood: "),
        (ToolCall("a", "play_prompt", '{"name": "../odd"}'), "name is none of welcome"),
    ],
)
@in_virtual_time
async def test_wrong_tool_calls_are_results_for_the_model(
    loop: VirtualLoop, monkeypatch: Patch, call: ToolCall, result: str
) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [[call], ["Well."]])
    assert await scripted.call(5000, 1000, tools={"hang_up": True, "play": ["welcome"]}) is None
    role, content = scripted.model.messages[-1]
    assert role == "tool"
    assert content.startswith(result)


@in_virtual_time
async def test_a_model_that_never_stops_calling_tools_is_stopped(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [[ToolCall("a", "order_pizza", "{}")]] * 10)
    await scripted.call(6000, 1000)
    assert len(scripted.model.asked) == 4
    assert scripted.events_of("failed") == [
        {"stage": "chat", "why": "the model wants tools used 4 times in a row"}
    ]
    assert scripted.synthesiser.asked == [SORRY]


# -- settings ----------------------------------------------------------------------------------------------


def test_assistant_settings_are_validated() -> None:
    with pytest.raises(ValidationError, match=r"needs tools\.transfer"):
        Assistant(instructions="x", on_failure="transfer")
    with pytest.raises(ValidationError, match="instructions"):
        Assistant(instructions="")
    handler = Assistant(instructions="x", fallback="sorry", tools={"play": ["a", "sorry"]})
    assert list(handler.prompt_names()) == ["sorry", "a"]
    assert {need.kind for need in handler.engines()} == {"speech", "recognition", "chat"}


@pytest.mark.parametrize(
    ("transfer", "answers"),
    [
        ("extension:100", []),
        ("http://backend/transfer", [{"say": "Please hold.", "transfer": "extension:100"}]),
        ("http://backend/transfer", [{"transfer": "extension:100", "hangup": False}]),
    ],
)
@in_virtual_time
async def test_the_transfer_tool_leads_a_flow_s_call_on(
    loop: VirtualLoop, monkeypatch: Patch, transfer: str, answers: list
) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [["One moment.", TRANSFER]], answers)
    control = scripted.caller.session.control = FlowControl()
    assert await scripted.call(6000, 1000, tools={"transfer": transfer}) is not None
    await scripted.caller.session.drain()
    assert control.decision == (
        {"type": "connect", "option": {"destinations": [{"type": "extension", "target": "100"}]}},
    )
    assert scripted.events_of("hangup") == [{"why": "transfer"}]


@in_virtual_time
async def test_a_transfer_that_the_stream_cannot_do_is_a_result_for_the_model(
    loop: VirtualLoop, monkeypatch: Patch
) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [HELP], [[TRANSFER], ["I am sorry."]])
    assert await scripted.call(6000, 1000, tools={"transfer": "extension:100"}) is None
    (failed,) = scripted.events_of("failed")
    assert failed["stage"] == "transfer"
    assert failed["why"].startswith("the call cannot be transferred on this stream")


@in_virtual_time
async def test_an_exhausted_flow_ends_the_conversation(loop: VirtualLoop, monkeypatch: Patch) -> None:
    scripted = ScriptedCall(loop, monkeypatch, [], [])
    control = scripted.caller.session.control = FlowControl()
    loop.call_later(2, control.warn_of_exhaustion)
    assert await scripted.call(4000) is not None
    await scripted.caller.session.drain()
    assert control.decision == [{"type": "hangup"}]
    assert scripted.events_of("hangup") == [{"why": "exhausted"}]
