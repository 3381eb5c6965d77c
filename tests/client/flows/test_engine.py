"""The platform's flow engine: what it executes at which time, for given actions, keys and answers."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from mediaserver.client.flows.actions import Action, FlowError, parse_actions, parse_answer, parse_flow
from mediaserver.client.flows.engine import Command, Fetch, FlowEngine, StopMedia
from mediaserver.client.flows.media import MediaRequest
from mediaserver.wire.codec import Codec
from mediaserver.wire.encapsulation import Encapsulation

FLOW, CALL = UUID(int=10), UUID(int=11)
TCP = {
    "external_host": "media.example.com:9000",
    "encapsulation": "audiosocket",
    "transport": "tcp",
    "format": "slin",
    "direction_listen": "in",
    "direction_speak": "out",
}
CLEAR = ("variable_set", {"key": "voipbin.call.digits", "value": ""})
FETCH = ("fetch", {"event_url": "http://here/flow/s3cret/menu?d=${voipbin.call.digits}", "event_method": "POST"})
Step = tuple[str, dict[str, Any]] | str


def actions(*steps: Step) -> list[Action]:
    """Actions, each with an id of its own."""
    pairs = [(step, {}) if isinstance(step, str) else step for step in steps]
    return [Action(kind, dict(option), uuid4()) for kind, option in pairs]


def receive(length: int = 1, key: str = "", duration: int = 5000) -> Step:
    return "digits_receive", {"length": length, "key": key, "duration": duration}


class Run:
    """A flow under test, with all commands that it gave."""

    def __init__(self, *steps: Step, bridged: float = 2.0) -> None:
        self.engine = FlowEngine(actions(*steps), FLOW, CALL, {"name": "Ann"}, bridged)
        self.commands: list[Command] = self.engine.start(0.0)

    def press(self, keys: str, at: float) -> None:
        for key in keys:
            self.commands += self.engine.press(key, at)

    def advance(self, at: float) -> None:
        self.commands += self.engine.advance(at)

    def answer(self, *steps: Step, at: float) -> None:
        self.commands += self.engine.fetched(actions(*steps), at)

    @property
    def log(self) -> list[tuple[float, str, float | None]]:
        return [(each.at, each.action.type, each.ended) for each in self.engine.log]

    @property
    def notes(self) -> list[str]:
        return [each.note for each in self.engine.log if each.is_problem]

    @property
    def urls(self) -> list[str]:
        return [each.url for each in self.commands if isinstance(each, Fetch)]


def test_actions_are_executed_one_after_another_at_their_times() -> None:
    run = Run("answer", ("external_media_start", TCP), ("sleep", {"duration": 60_000}), "hangup")
    assert run.commands == [
        MediaRequest(1, "tcp://media.example.com:9000", Encapsulation.AUDIOSOCKET, Codec.SLIN, True, True)
    ]
    assert run.log == [(0, "answer", 0), (0, "external_media_start", 0), (0, "sleep", None)]
    assert run.engine.due == 60.0
    run.advance(59.9)
    assert run.engine.ended == ""
    run.advance(60.0)
    assert run.engine.ended == "the flow hung up"
    assert run.log[2:] == [(0, "sleep", 60), (60, "hangup", 60)]
    assert run.notes == []


def test_the_end_of_the_actions_ends_the_call() -> None:
    assert Run("answer").engine.ended == "the flow has no more actions"


def test_the_caller_s_hang_up_ends_the_action_that_holds_the_flow() -> None:
    run = Run(("sleep", {"duration": 1000}))
    run.engine.hang_up(0.4)
    assert (run.engine.ended, run.log) == ("the caller hung up", [(0, "sleep", 0.4)])
    run.advance(1.0)
    assert len(run.log) == 1


# -- keys --------------------------------------------------------------------------------------------------------


def test_digits_are_received_up_to_the_length_and_added_to_the_variable() -> None:
    run = Run(receive(length=3), ("variable_set", {"key": "pin", "value": "<${voipbin.call.digits}>"}))
    run.press("47", 1.0)
    assert run.engine.ended == ""
    run.press("1", 2.0)
    assert run.log[0] == (0, "digits_receive", 2.0)
    assert run.engine.variables["pin"] == "<471>"


def test_an_end_key_is_one_of_those_given_and_stays_in_the_variable() -> None:
    run = Run(receive(length=0, key="#*"))
    run.press("12", 1.0)
    assert run.engine.ended == ""
    run.press("*", 1.5)
    assert run.log == [(0, "digits_receive", 1.5)]
    assert run.engine.variables["voipbin.call.digits"] == "12*"


def test_the_time_of_digits_receive_is_of_all_keys() -> None:
    run = Run(receive(length=3, duration=2000))
    run.press("1", 1.9)
    assert run.engine.due == 2.0
    run.advance(2.0)
    assert run.engine.ended


def test_digits_that_were_pressed_before_are_enough_unless_they_are_cleared() -> None:
    run = Run(receive(), receive(), CLEAR, receive())
    run.press("1", 1.0)
    assert run.log == [
        (0, "digits_receive", 1),
        (1, "digits_receive", 1),
        (1, "variable_set", 1),
        (1, "digits_receive", None),
    ]
    assert run.engine.log[1].note == "keys that were pressed before are enough"


def test_a_key_during_another_action_replaces_the_digits() -> None:
    run = Run(("sleep", {"duration": 1000}), receive(length=2))
    run.press("123", 0.5)
    run.advance(1.0)
    assert run.engine.variables["voipbin.call.digits"] == "3"
    run.press("4", 1.2)
    assert run.engine.ended
    assert run.engine.variables["voipbin.call.digits"] == "34"


def test_a_key_ends_talk_only_where_it_is_asked_to() -> None:
    text = "x" * 45  # three seconds
    for option, ended in (({}, 3.0), ({"digits_handle": "next"}, 1.0)):
        run = Run(("talk", {"text": text, **option}))
        run.press("5", 1.0)
        run.advance(3.0)
        assert run.log == [(0, "talk", ended)]
        assert run.engine.variables["voipbin.call.digits"] == "5"


def test_talk_beside_the_flow_does_not_hold_it() -> None:
    assert Run(("talk", {"text": "Hello.", "async": True})).log == [(0, "talk", 0)]


# -- fetch -------------------------------------------------------------------------------------------------------


def test_fetched_actions_are_executed_and_then_those_behind_the_fetch() -> None:
    run = Run("answer", FETCH, "hangup")
    assert run.commands == [Fetch("http://here/flow/s3cret/menu?d=", "POST")]
    assert run.engine.fetching
    run.answer(("sleep", {"duration": 500}), at=0.1)
    assert not run.engine.fetching
    run.advance(0.6)
    kinds = [kind for _, kind, _ in run.log]
    assert kinds == ["answer", "fetch", "sleep", "hangup"]
    assert run.log[1] == (0, "fetch", 0.1)


def test_rounds_of_receive_and_fetch_bring_each_key() -> None:
    run = Run(FETCH)
    for at, key in enumerate("123", 1):
        run.answer(CLEAR, receive(), FETCH, at=float(at))
        run.press(key, at + 0.5)
    assert [url.partition("?")[2] for url in run.urls] == ["d=", "d=1", "d=2", "d=3"]
    run.answer("hangup", at=4.0)
    assert run.engine.ended == "the flow hung up"
    assert run.notes == []


def test_keys_during_a_fetch_are_lost_to_the_clearing_behind_it() -> None:
    """They are kept if the digits are cleared before the fetch, from a copy of which the URL is made."""
    lost = Run(receive(), FETCH)
    lost.press("1", 1.0)
    lost.press("2", 1.05)  # while the answer is on its way
    lost.answer(CLEAR, receive(), FETCH, at=1.1)
    assert lost.log[-1] == (1.1, "digits_receive", None)
    copied = ("variable_set", {"key": "keys", "value": "${voipbin.call.digits}"})
    fetch = ("fetch", {"event_url": "http://here/?d=${keys}"})
    kept = Run(receive(), copied, CLEAR, fetch)
    kept.press("1", 1.0)
    kept.press("2", 1.05)
    kept.answer(receive(), copied, CLEAR, fetch, at=1.1)
    assert kept.urls == ["http://here/?d=1", "http://here/?d=2"]


def test_no_answer_within_three_seconds_leaves_the_call_as_it_is() -> None:
    run = Run("answer", FETCH, "hangup")
    run.advance(2.9)
    assert run.engine.fetching
    run.advance(3.0)
    assert (run.engine.fetching, run.engine.due, run.engine.ended) == (False, None, "")
    run.answer("hangup", at=3.1)
    run.press("1", 3.2)
    assert [kind for _, kind, _ in run.log] == ["answer", "fetch"]
    assert run.notes == ["no answer within 3 s: the platform executes nothing more"]
    run.engine.hang_up(9.0)
    assert run.engine.ended == "the caller hung up"


def test_an_answer_that_cannot_be_used_ends_the_call() -> None:
    run = Run("answer", FETCH, "hangup")
    run.commands += run.engine.fetched(FlowError("the answer is not JSON"), 0.2)
    assert run.engine.ended == "fetch: the answer is not JSON"
    assert run.notes == ["the answer is not JSON: the platform hangs up"]


def test_fetched_actions_without_ids_are_not_executed() -> None:
    run = Run(FETCH, ("sleep", {"duration": 1000}))
    run.commands += run.engine.fetched(parse_actions([{"type": "answer"}, {"type": "hangup"}]), 0.1)
    assert [kind for _, kind, _ in run.log] == ["fetch", "sleep"]
    (note,) = run.notes
    assert "each needs a UUID" in note


def test_a_later_action_without_an_id_ends_the_flow() -> None:
    run = Run(FETCH, ("sleep", {"duration": 1000}))
    listed = [{"type": "answer", "id": str(uuid4())}, {"type": "sleep"}]
    run.commands += run.engine.fetched(parse_actions(listed), 0.1)
    assert [kind for _, kind, _ in run.log] == ["fetch", "answer"]
    assert run.engine.ended == "the flow has no more actions"
    assert run.notes == ["action 2 has no id, so the platform ends the flow there"]


def test_an_id_that_is_there_twice_is_told_of() -> None:
    same = str(uuid4())
    run = Run(FETCH)
    run.commands += run.engine.fetched(parse_actions([{"type": "answer", "id": same}] * 2), 0.1)
    assert run.notes == [
        "action 2 has the id of an earlier one, so the platform confuses them: give each its own",
        "more than 100 actions were executed: the platform hangs up",
    ]
    assert run.engine.ended == "more than 100 actions were executed"


def test_an_empty_answer_goes_on_behind_the_fetch() -> None:
    run = Run(FETCH, "hangup")
    run.answer(at=0.1)
    assert run.engine.ended == "the flow hung up"


def test_more_than_a_hundred_actions_end_the_call() -> None:
    run = Run(FETCH)
    at = 0.0
    while not run.engine.ended:
        at += 0.1
        run.answer(CLEAR, receive(), FETCH, at=at)
        run.press("1", at)
    assert run.engine.ended == "more than 100 actions were executed"
    assert len(run.log) == 101
    assert len(run.urls) == 34


# -- media -------------------------------------------------------------------------------------------------------


def test_media_goes_on_until_it_is_stopped_and_no_more_than_five_of_it() -> None:
    start = ("external_media_start", TCP)
    run = Run(*6 * [start], "external_media_stop", start, ("sleep", {"duration": 1000}))
    assert [each.number for each in run.commands if isinstance(each, MediaRequest)] == [1, 2, 3, 4, 5, 6]
    assert isinstance(run.commands[5], StopMedia)
    assert run.notes == [
        "the call has 5 external media streams already: the platform goes on with the next action"
    ]


def test_media_that_is_over_makes_room() -> None:
    start = ("external_media_start", TCP)
    run = Run(*5 * [start], ("sleep", {"duration": 1000}), start, ("sleep", {"duration": 1000}))
    run.engine.media_ended(2)
    run.advance(1.0)
    assert run.notes == []


@pytest.mark.parametrize(
    ("option", "note"),
    [
        ({"direction_listen": "", "direction_speak": ""}, "has no direction, which Asterisk refuses"),
        ({"transport": "udp", "encapsulation": "rtp"}, "rtp over udp is not simulated"),
        ({"transport": "websocket"}, "audiosocket over websocket is not simulated"),
        ({"format": "slin16"}, "the format slin16 is not simulated"),
        ({"external_host": ""}, "has neither external_host nor url"),
        ({"external_host": 9000}, "external_host should be a text"),
    ],
)
def test_media_that_cannot_be_had_is_told_of_and_the_flow_goes_on(option: dict[str, Any], note: str) -> None:
    run = Run(("external_media_start", {**TCP, **option}), "hangup")
    assert run.commands == []
    assert run.engine.ended == "the flow hung up"
    assert run.notes[0].startswith(note)


def test_the_directions_and_the_format_are_those_of_the_platform() -> None:
    option = {key: value for key, value in TCP.items() if key not in ("format", "direction_listen")}
    run = Run(("external_media_start", option))
    (request,) = run.commands
    assert isinstance(request, MediaRequest)
    assert (request.codec, request.hears_caller, request.heard_by_caller) == (Codec.MULAW, False, True)


def test_the_tutorial_s_form_is_one_way_and_is_told_of() -> None:
    option = {"url": "wss://media.example.com/${name}", "encapsulation": "audiosocket"}
    run = Run(("external_media_start", option))
    assert run.commands == [MediaRequest(1, "wss://media.example.com/Ann", Encapsulation.AUDIOSOCKET)]
    assert "the platform's public code ignores url" in run.engine.log[0].note
    assert run.notes == []


# -- the rest ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["connect", "queue_join", "conference_join"])
def test_another_party_holds_the_flow_for_a_while(kind: str) -> None:
    run = Run((kind, {"destinations": [{"type": "tel", "target": "${name}"}]}), "hangup", bridged=1.5)
    assert run.engine.log[0].action.option["destinations"] == [{"type": "tel", "target": "Ann"}]
    run.advance(1.5)
    assert run.log == [(0, kind, 1.5), (1.5, "hangup", 1.5)]


def test_unknown_actions_are_passed_over() -> None:
    run = Run("anser", "amd", "hangup")
    assert run.notes == ["the platform knows no such action, and goes on with the next one"]
    assert [each.note for each in run.engine.log] == [*run.notes, "not simulated", ""]


def test_wrong_options_are_passed_over() -> None:
    run = Run(("sleep", {"duration": "1000"}), ("digits_receive", {"length": 1.5}), "hangup")
    assert run.engine.ended == "the flow hung up"
    assert run.notes == [
        "duration should be a whole number: the platform goes on with the next action",
        "length should be a whole number: the platform goes on with the next action",
    ]


def test_goto_loops_as_often_as_it_says() -> None:
    again, target = uuid4(), uuid4()
    flow = [
        Action("sleep", {"duration": 1000}, target),
        Action("goto", {"target_id": str(target), "loop_count": 2}, again),
        Action("hangup", {}, uuid4()),
    ]
    engine = FlowEngine(flow, FLOW, CALL)
    engine.start()
    for at in (1.0, 2.0, 3.0):
        engine.advance(at)
    assert [each.action.type for each in engine.log] == ["sleep", "goto"] * 3 + ["hangup"]


@pytest.mark.parametrize(("key", "expected"), [("1", "answer"), ("9", "beep")])
def test_branch_goes_where_the_digit_leads_and_clears_it(key: str, expected: str) -> None:
    one, other = uuid4(), uuid4()
    option = {"target_ids": {"1": str(one)}, "default_target_id": str(other)}
    first = actions(receive(), ("branch", option))
    engine = FlowEngine([*first, Action("answer", {}, one), Action("beep", {}, other)], FLOW, CALL)
    engine.start()
    engine.press(key, 1.0)
    assert engine.log[2].action.type == expected
    assert engine.variables["voipbin.call.digits"] == ""


def test_a_target_that_is_not_there_ends_the_call() -> None:
    run = Run(("goto", {"target_id": str(uuid4()), "loop_count": 1}), "answer")
    assert run.engine.ended == "goto: there is no action with the id to go to"


def test_next_id_says_what_follows() -> None:
    last = Action("hangup", {}, uuid4())
    engine = FlowEngine([Action("answer", {}, uuid4(), last.id), Action("beep", {}, uuid4()), last], FLOW, CALL)
    engine.start()
    assert [each.action.type for each in engine.log] == ["answer", "hangup"]


def test_variables_are_filled_in_and_unknown_ones_are_empty() -> None:
    option = {"text": "${name}, ${nobody}!", "list": ["${name}", 1], "more": {"id": "${voipbin.call.id}"}}
    run = Run(("talk", option))
    assert run.engine.log[0].action.option == {
        "text": "Ann, !",
        "list": ["Ann", 1],
        "more": {"id": str(CALL)},
    }


# -- what is parsed ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "the answer is not JSON"),
        ('{"actions": []}', "the answer should be a JSON array of actions"),
        ("[1]", "action 1 is not an object"),
        ('[{"type": "answer", "id": "1"}]', "action 1: id should be a UUID"),
        ('[{"type": 1}]', "action 1: type should be a text, and option an object"),
    ],
)
def test_answers_that_the_platform_does_not_take(text: str, why: str) -> None:
    with pytest.raises(FlowError, match=f"^{why}$"):
        parse_answer(text)


def test_an_answer_of_null_has_no_actions() -> None:
    assert parse_answer("null") == []


def test_a_flow_is_a_list_or_has_one_and_its_actions_get_ids() -> None:
    for text in ('[{"type": "answer"}]', '{"name": "x", "actions": [{"type": "answer"}]}'):
        (action,) = parse_flow(text)
        assert action.type == "answer"
        assert action.id.int
    for text in ("{}", "[]", "7", '{"actions": 1}'):
        with pytest.raises(FlowError, match="should be a list of actions"):
            parse_flow(text)
    with pytest.raises(FlowError, match="is not JSON"):
        parse_flow("[")
