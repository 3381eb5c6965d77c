"""The rounds of a flow, by their exact actions, digits and budget."""

import uuid
from typing import Any

import pytest

from mediaserver.wire.voipbin.rounds import CONCLUSION, Rounds, RoundSettings

URL = "https://media.example.com/flow/s/menu"
CLEAR = {"type": "variable_set", "option": {"key": "voipbin.call.digits", "value": ""}}


def rounds(**settings: Any) -> Rounds:
    return Rounds(RoundSettings(**{"url": URL, "external_host": "media.example.com:9100", **settings}))


def bare(actions: list[dict]) -> list[dict]:
    """Actions without their ids, each of which is a UUID of its own."""
    assert len({uuid.UUID(action["id"]) for action in actions}) == len(actions)
    return [{key: value for key, value in action.items() if key != "id"} for action in actions]


def receive(length: int, duration: int) -> dict:
    return {"type": "digits_receive", "option": {"length": length, "key": "", "duration": duration}}


def fetch(number: int, url: str = f"{URL}?") -> dict:
    query = f"flow_round={number}&flow_digits=${{voipbin.call.digits}}&flow_end=1"
    return {"type": "fetch", "option": {"event_url": url + query, "event_method": "POST"}}


def test_the_first_answer_starts_the_media_and_the_first_round() -> None:
    assert bare(rounds().begin()) == [
        {"type": "answer"},
        {
            "type": "external_media_start",
            "option": {
                "external_host": "media.example.com:9100",
                "encapsulation": "audiosocket",
                "transport": "tcp",
                "format": "slin",
                "direction_listen": "in",
                "direction_speak": "out",
            },
        },
        CLEAR,
        receive(1, 2000),
        fetch(1),
    ]


def test_a_round_waits_for_one_digit_more_than_there_are() -> None:
    flow = rounds(url=f"{URL}?language=de")
    flow.begin()
    assert flow.take_digits("12", complete=True) == "12"
    assert bare(flow.go_on(0, 0)) == [receive(3, 2000), fetch(2, f"{URL}?language=de&")]
    assert flow.take_digits("12", complete=True) == ""
    assert flow.take_digits("123", complete=True) == "3"


def test_a_hash_cuts_the_url_off_and_the_variable_is_cleared_then() -> None:
    flow = rounds()
    flow.begin()
    assert flow.take_digits("47", complete=True) == "47"
    assert flow.take_digits("4711", complete=False) == "11#"
    assert bare(flow.go_on(0, 0)) == [CLEAR, receive(1, 2000), fetch(2)]
    assert flow.take_digits("", complete=False) == "#"
    assert bare(flow.go_on(0, 0))[0] == CLEAR


def test_a_variable_that_was_not_appended_to_holds_new_digits() -> None:
    flow = rounds()
    flow.begin()
    assert flow.take_digits("12", complete=True) == "12"
    assert flow.take_digits("5", complete=True) == "5"
    assert bare(flow.go_on(0, 0))[0] == receive(2, 2000)


def test_a_long_variable_is_cleared() -> None:
    flow = rounds()
    flow.begin()
    assert flow.take_digits("1" * 41, complete=True) == "1" * 41
    assert bare(flow.go_on(0, 0)) == [CLEAR, receive(1, 2000), fetch(2)]
    assert flow.take_digits("1", complete=True) == "1"


@pytest.mark.parametrize("text", ["${voipbin.call.digits}", "", "x y\u0661", "ab"])
def test_what_holds_no_digits(text: str) -> None:
    assert rounds().take_digits(text, complete=True) == ""


@pytest.mark.parametrize(
    ("idle", "patience", "ms"),
    [
        (0, 0, 2000),
        (8, 0, 2000),
        (20, 0, 5000),
        (1000, 0, 20_000),
        (0, 5, 5200),
        (1000, 5, 5200),  # its time-out decides what is next
        (0, 0.1, 1000),
        (0, 600, 60_000),
    ],
)
def test_how_long_a_round_lasts(idle: float, patience: float, ms: int) -> None:
    flow = rounds()
    flow.begin()
    assert bare(flow.go_on(idle, patience))[1 if flow.number < 2 else 0] == receive(1, ms)
    assert flow.duration == ms / 1000


def test_the_budget_of_a_flow() -> None:
    """The first `fetch` and answer take 6 actions, a round takes 2, or 3 with a #; the last answer may have 4."""
    flow = rounds(max_actions=30)
    flow.begin()
    assert flow.executed == 6
    told = []
    while not flow.exhausted:
        told.append(flow.nearly_exhausted)
        flow.go_on(1000, 600)
    assert told == [False] * 5 + [True] * 4
    assert flow.executed == 24
    flow.conclude([{"type": "hangup"}] * CONCLUSION)
    assert flow.executed <= 30


@pytest.mark.parametrize("executed", range(31))
def test_a_flow_that_comes_back_begins_only_if_its_budget_lasts_to_an_end(executed: int) -> None:
    """By a `goto` of the user's own. The `fetch` is an action too."""
    flow = rounds(max_actions=30, executed=executed)
    assert flow.can_begin == (executed + 1 + 5 + CONCLUSION <= 30)
    if flow.can_begin:
        flow.begin()
        while not flow.exhausted:
            flow.take_digits("", complete=False)  # so that each round has all of its actions
            flow.go_on(1000, 600)
        flow.conclude([{"type": "hangup"}] * CONCLUSION)
        assert flow.executed <= 30


def test_the_last_rounds_are_for_a_handler_that_comes_to_an_end() -> None:
    flow = rounds(max_actions=25)
    flow.begin()
    flow.take_digits("12", complete=True)
    found = []
    while not flow.exhausted:
        found.append(bare(flow.go_on(0, 5))[0])
    assert found == [
        receive(3, 5200),
        receive(3, 5200),
        receive(1002, 2000),
        receive(1002, 5000),
        *[receive(1002, 20_000)] * 3,
    ]


def test_how_many_keys_a_flow_has_by_default() -> None:
    flow = rounds()
    flow.begin()
    keys = 0
    while not flow.nearly_exhausted:
        keys += 1
        flow.take_digits("1" * (keys % 40), complete=True)
        flow.go_on(0, 0)
    assert keys == 35


def test_how_long_a_flow_lasts_without_keys_by_default() -> None:
    flow = rounds()
    flow.begin()
    seconds = flow.duration
    while not flow.nearly_exhausted:
        flow.go_on(seconds, 0)
        seconds += flow.duration
    assert seconds == pytest.approx(513, abs=1)


def test_an_answer_is_never_empty() -> None:
    flow = rounds()
    flow.begin()
    assert bare(flow.conclude([])) == [CLEAR]
    assert bare(flow.conclude([{"type": "hangup"}])) == [{"type": "hangup"}]
