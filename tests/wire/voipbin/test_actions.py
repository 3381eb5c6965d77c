"""Actions of flows: a user's own are checked by their form, and each gets an id."""

import uuid
from datetime import date
from itertools import count
from typing import Any

import pytest

from mediaserver.wire.voipbin.actions import add_ids, count_executed, make_action, validate_actions

ID = "01234567-0000-4000-8000-000000000000"


def test_each_action_gets_an_id_unless_it_has_one() -> None:
    numbers = count(1)
    given: list[dict] = [
        {"type": "hangup"},
        {"type": "sleep", "id": ID, "option": {"duration": 1}},
        {"type": "hangup"},
    ]
    assert add_ids(given, lambda: next(numbers)) == [
        {"id": "1", "type": "hangup"},
        {"id": ID, "type": "sleep", "option": {"duration": 1}},
        {"id": "2", "type": "hangup"},
    ]
    assert given[0] == {"type": "hangup"}
    assert len({each["id"] for each in add_ids([{"type": "hangup"}] * 100)}) == 100
    assert add_ids([{"type": "hangup", "id": ""}], lambda: "new") == [{"id": "new", "type": "hangup"}]


def test_an_action_without_options_has_a_type_only() -> None:
    assert make_action("answer") == {"type": "answer"}
    assert make_action("sleep", duration=1) == {"type": "sleep", "option": {"duration": 1}}


def test_actions_of_ones_own() -> None:
    given = [{"type": "goto", "id": ID, "next_id": ID, "option": {"target_id": ID, "loop_count": 2}}]
    assert validate_actions(given) == tuple(given)
    assert validate_actions([]) == ()


@pytest.mark.parametrize(
    ("action", "why"),
    [
        ("hangup", '[0]: should be an action, such as { type = "hangup" }'),
        ({"type": ""}, '[0]: should be an action, such as { type = "hangup" }'),
        ({"option": {}}, '[0]: should be an action, such as { type = "hangup" }'),
        ({"type": "talk", "text": "Hi"}, '[0]: has "text": an action has "type", "option" and "id"'),
        ({"type": "talk", "option": "Hi"}, "[0]: option: should be a table"),
        ({"type": "talk", "id": "one"}, "[0]: id: should be a UUID; leave it out, and the action gets one"),
        ({"type": "talk", "id": 7}, "[0]: id: should be a UUID"),
        ({"type": "talk", "id": ""}, "[0]: id: should be a UUID"),
        ({"type": "talk", "id": f"{uuid.UUID(int=0)}"}, "[0]: id: VoIPBIN ignores an id of zeros"),
        ({"type": "talk", "option": {"text": date(2026, 1, 1)}}, "[0]: has a value that JSON does not have: "),
        ({"type": "talk", "option": {"rate": float("nan")}}, "[0]: has a value that JSON does not have: "),
    ],
)
def test_what_is_no_action(action: Any, why: str) -> None:
    with pytest.raises(ValueError, match=r"\[0\]") as error:
        validate_actions([action])
    assert str(error.value).startswith(why)


def test_an_id_that_is_there_twice_is_told_of() -> None:
    """VoIPBIN finds an action by its id, and would go back to the first of the two again and again."""
    twice = [{"type": "talk", "id": ID}, {"type": "hangup"}, {"type": "talk", "id": ID.upper()}]
    with pytest.raises(ValueError, match=r"^\[2\]: id: is that of \[0\] as well"):
        validate_actions(twice)


def test_what_connects_the_caller_counts_twice() -> None:
    kinds = ("connect", "queue_join", "conference_join", "hangup", "talk")
    assert [count_executed([{"type": kind}]) for kind in kinds] == [2, 2, 2, 1, 1]
    assert count_executed([{"type": kind} for kind in kinds]) == 8


def test_there_are_not_too_many() -> None:
    with pytest.raises(ValueError, match="has 21 actions: at most 20 are allowed"):
        validate_actions([{"type": "hangup"}] * 21)
