"""The actions of a VoIPBIN flow. Each action is a JSON object with the keys `type`, `option` and `id`."""

import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from mediaserver.wire.encapsulation import Carrier, Encapsulation

Action = dict[str, Any]

DIGITS = "voipbin.call.digits"  # the flow's variable to which the action `digits_receive` appends DTMF keys
MAX_ACTIONS = 20  # the most actions in a list that a user configures; VoIPBIN executes some 100 in a flow at most
# Types of actions that count twice, because VoIPBIN executes an action of its own for each of them.
PUSHING = frozenset({"ai_talk", "conference_join", "connect", "queue_join"})
_KEYS = frozenset({"id", "next_id", "type", "option"})  # the JSON keys that an action may have


def make_action(kind: str, **option: Any) -> Action:
    """An action of the type `kind`, without an id. Without options, the action has no key `option`."""
    return {"type": kind, "option": option} if option else {"type": kind}


ANSWER = make_action("answer")
HANG_UP = make_action("hangup")
# Clears the flow's variable that holds the caller's DTMF digits. The action has no other effect, so it is also the
# answer if nothing is to be done, because VoIPBIN needs at least one action.
CLEAR_DIGITS = make_action("variable_set", key=DIGITS, value="")


def external_media_start(external_host: str) -> Action:
    """An action that has VoIPBIN's Asterisk dial `external_host` (`host:port`) by AudioSocket over TCP.

    Audio flows in both directions.
    """
    return make_action(
        "external_media_start",
        external_host=external_host,
        encapsulation=Encapsulation.AUDIOSOCKET,
        transport=Carrier.TCP,
        format="slin",
        direction_listen="in",
        direction_speak="out",
    )


def digits_receive(length: int, duration_ms: int) -> Action:
    """An action that waits until the flow's variable `DIGITS` has `length` digits, or `duration_ms` have passed.

    Digits that the variable had before the action count as well.
    """
    return make_action("digits_receive", length=length, key="", duration=duration_ms)


def fetch(url: str) -> Action:
    """An action that requests the next actions of the flow from `url`, by POST."""
    return make_action("fetch", event_url=url, event_method="POST")


def add_ids(actions: Iterable[Action], new_id: Callable[[], object] = uuid.uuid4) -> list[Action]:
    """Copies of actions, each with an id. If one action has no id, VoIPBIN executes none of the actions."""
    return [{"id": str(action.get("id") or new_id()), **_without_id(action)} for action in actions]


def count_executed(actions: Iterable[Action]) -> int:
    """How many actions VoIPBIN counts when it executes `actions`: an action of a type in PUSHING counts twice."""
    return sum(2 if action["type"] in PUSHING else 1 for action in actions)


def _without_id(action: Action) -> Action:
    return {key: value for key, value in action.items() if key != "id"}


def validate_actions(actions: Sequence[Any]) -> tuple[Action, ...]:
    """Check the form of a user's own actions, and return them. ValueError has a line for each mistake."""
    wrong = [f"[{n}]: {problem}" for n, action in enumerate(actions) if (problem := _problem(action))]
    if not wrong:
        ids = [action["id"].lower() if action.get("id") else "" for action in actions]
        wrong = [
            f"[{n}]: id: is that of [{ids.index(each)}] as well, so VoIPBIN would execute them in a loop"
            for n, each in enumerate(ids)
            if each and ids.index(each) < n
        ]
    if len(actions) > MAX_ACTIONS:
        wrong.append(f"has {len(actions)} actions: at most {MAX_ACTIONS} are allowed")
    if wrong:
        raise ValueError("\n".join(wrong))
    return tuple(actions)


def _problem(action: Any) -> str:
    """What is wrong with an action that a user has configured; "" if nothing is wrong."""
    if not isinstance(action, dict) or not isinstance(action.get("type"), str) or not action["type"]:
        return 'should be an action, such as { type = "hangup" }'
    if unknown := sorted(action.keys() - _KEYS):
        return f'has "{unknown[0]}": an action has "type", "option" and "id", and the rest is in its "option"'
    if not isinstance(action.get("option", {}), dict):
        return "option: should be a table"
    try:
        if "id" in action and not uuid.UUID(action["id"]).int:
            return "id: VoIPBIN ignores an id of zeros: leave it out, and the action gets one"
    except (ValueError, AttributeError, TypeError):
        return "id: should be a UUID; leave it out, and the action gets one"
    try:
        json.dumps(action, allow_nan=False)
    except (TypeError, ValueError) as error:
        return f"has a value that JSON does not have: {error}"
    return ""
