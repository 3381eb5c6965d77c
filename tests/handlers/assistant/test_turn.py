"""The figures of one turn, and the tools of a model."""

import json

import pytest

from mediaserver.handlers.assistant.tools import Tools
from mediaserver.handlers.assistant.turn import Turn
from mediaserver.speech.llm.chat import ToolCall


def test_a_turn_has_the_latencies_of_the_steps_that_were_reached() -> None:
    turn = Turn("hello", 10.0, 11.5)
    assert turn.event_data == {"caller": "hello", "assistant": "", "interrupted": False}
    turn.mark_step("words", 11.75)
    turn.mark_step("first_audio", 12.0004)
    turn.mark_step("first_audio", 13.0)
    turn.assistant += ["", "Yes.", "It…"]
    turn.intended += ["Yes.", "", "It is."]
    turn.interrupted, turn.ended = True, 13.257
    latencies = {"words_ms": 250, "first_audio_ms": 500}
    assert turn.event_data == {"caller": "hello", "assistant": "Yes. It…", "interrupted": True, **latencies}
    assert turn.caller_line(9.0) == {"text": "hello", "start_s": 1.0, "end_s": 2.5}
    told = {"text": "Yes. It is.", "heard": "Yes. It…", "interrupted": True, "start_s": 3.0, "end_s": 4.26}
    assert turn.assistant_line(9.0) == told | latencies


def test_an_answer_that_was_not_played_begins_where_it_ends() -> None:
    turn = Turn("hello", 10.0, 11.5, ended=13.0)
    answered = turn.assistant_line(9.0)
    assert (answered["start_s"], answered["end_s"]) == (4.0, 4.0)


# -- tools -----------------------------------------------------------------------------------------


def test_only_enabled_tools_are_defined() -> None:
    assert Tools().definitions == []
    offered = Tools(hang_up=True, transfer="http://backend/", play=("a", "b")).definitions
    assert [tool["type"] for tool in offered] == ["function"] * 3
    functions = {tool["function"]["name"]: tool["function"]["parameters"] for tool in offered}
    assert functions["hang_up"] == {"type": "object", "properties": {}, "required": []}
    assert functions["play_prompt"]["properties"] == {"name": {"type": "string", "enum": ["a", "b"]}}
    assert functions["transfer"]["required"] == ["reason"]
    assert functions["transfer"]["properties"]["reason"]["type"] == "string"
    assert all(tool["function"]["description"] for tool in offered)


@pytest.mark.parametrize(
    ("name", "arguments", "reason", "prompt"),
    [
        ("hang_up", "", "", ""),
        ("hang_up", '{"name": "elsewhere"}', "", "elsewhere"),
        ("transfer", '{"reason": "a refund"}', "a refund", ""),
        ("play_prompt", '{"name": "b"}', "", "b"),
    ],
)
def test_the_arguments_of_tool_calls(name: str, arguments: str, reason: str, prompt: str) -> None:
    tools = Tools(hang_up=True, transfer="http://backend/", play=("a", "b"))
    wanted = tools.parse_call(ToolCall("id", name, arguments))
    assert (wanted.reason, wanted.name) == (reason, prompt)


@pytest.mark.parametrize(
    ("name", "arguments", "why"),
    [
        ("x" * 60, "{}", f"there is no tool {'x' * 50}, only none"),
        ("play_prompt", '{"name": "a"}', "there is no tool play_prompt, only none"),
    ],
)
def test_without_tools_no_call_is_valid(name: str, arguments: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Tools().parse_call(ToolCall("id", name, arguments))


def test_a_reason_is_bounded() -> None:
    tools = Tools(transfer="http://backend/")
    assert tools.parse_call(ToolCall("id", "transfer", json.dumps({"reason": "x" * 2000}))).reason == "x" * 2000
    with pytest.raises(ValueError, match="the arguments are not understood"):
        tools.parse_call(ToolCall("id", "transfer", json.dumps({"reason": "x" * 2001})))
