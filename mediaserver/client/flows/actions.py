"""Parses the actions of a VoIPBIN flow from JSON, as VoIPBIN does, and fills in the values of variables."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from mediaserver.errors import PeerError

NIL = UUID(int=0)  # the UUID of zeros, which stands for the missing id of an action
_VARIABLE = re.compile(r"\$\{(.*?)\}")


class FlowError(PeerError):
    """The platform cannot execute an action. The message is one line."""


@dataclass(slots=True)
class Action:
    """One action of a flow. Its `option` may contain `${name}` for variables, which `with_variables` fills in."""

    type: str
    option: dict[str, Any] = field(default_factory=dict)
    id: UUID = NIL
    next_id: UUID = NIL  # the id of the action to execute next, if this is not the next one in the list

    def integer(self, key: str) -> int:
        """The value of an option that is a whole number; 0 if it is missing, FlowError if it is anything else."""
        value = self.option.get(key) or 0
        if isinstance(value, bool) or not isinstance(value, int):
            raise FlowError(f"{key} should be a whole number")
        return value

    def text(self, key: str) -> str:
        """The value of an option that is a text; "" if it is missing, FlowError if it is no text."""
        value = self.option.get(key)
        if value is not None and not isinstance(value, str):
            raise FlowError(f"{key} should be a text")
        return value or ""

    def flag(self, key: str) -> bool:
        """The value of an option that is a boolean; False if it is missing, FlowError if it is no boolean."""
        value = self.option.get(key)
        if value is not None and not isinstance(value, bool):
            raise FlowError(f"{key} should be true or false")
        return bool(value)

    def target(self, key: str) -> UUID:
        """The value of an option that is an action's id; NIL if it is missing, FlowError if it is no UUID."""
        return _parse_id(self.text(key), key)

    def with_variables(self, variables: Mapping[str, str]) -> "Action":
        """A copy of the action. In its options, the variable's value (or "") takes the place of each `${name}`."""
        return Action(self.type, _substitute(self.option, variables), self.id, self.next_id)


def parse_answer(text: str | bytes) -> list[Action]:
    """The actions in an answer to the action `fetch`; FlowError if the answer is no JSON array of actions."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        raise FlowError("the answer is not JSON") from None
    if not isinstance(answer, list | None):
        raise FlowError("the answer should be a JSON array of actions")
    return parse_actions(answer or [])


def parse_flow(text: str | bytes) -> list[Action]:
    """The actions of a flow: a JSON array, or an object with the key `actions`; FlowError if there are none.

    An action without an id gets a random one, as VoIPBIN assigns one when a flow is created.
    """
    try:
        flow = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FlowError(f"is not JSON: {error}") from None
    listed = flow.get("actions") if isinstance(flow, dict) else flow
    if not isinstance(listed, list) or not listed:
        raise FlowError('should be a list of actions, or an object with such a list as its "actions"')
    actions = parse_actions(listed)
    for action in actions:
        action.id = uuid4() if action.id == NIL else action.id
    return actions


def parse_actions(listed: list[Any]) -> list[Action]:
    """Parse actions from JSON values. FlowError, with the number of the action, if an action has a wrong form."""
    return [_parse_action(number, each) for number, each in enumerate(listed, 1)]


def _parse_action(number: int, value: Any) -> Action:
    if not isinstance(value, dict):
        raise FlowError(f"action {number} is not an object")
    kind, option = value.get("type") or "", value.get("option") or {}
    if not isinstance(kind, str) or not isinstance(option, dict):
        raise FlowError(f"action {number}: type should be a text, and option an object")
    ids = [_parse_id(value.get(key), f"action {number}: {key}") for key in ("id", "next_id")]
    return Action(kind, option, *ids)


def _parse_id(value: Any, where: str) -> UUID:
    if value in (None, ""):
        return NIL
    try:
        return UUID(value)
    except (ValueError, TypeError, AttributeError):
        raise FlowError(f"{where} should be a UUID") from None


def _substitute(value: Any, variables: Mapping[str, str]) -> Any:
    match value:
        case str():
            return _VARIABLE.sub(lambda found: variables.get(found[1], ""), value)
        case dict():
            return {key: _substitute(each, variables) for key, each in value.items()}
        case list():
            return [_substitute(each, variables) for each in value]
    return value
