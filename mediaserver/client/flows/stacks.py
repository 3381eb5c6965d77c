"""The order in which VoIPBIN executes the actions of a flow.

The actions in the answer to a `fetch` are put on a stack, on top of the list with the `fetch` itself. An action is
found by its id, as on the platform. If an action has no id, it is not found: the platform ends the flow, or skips
the whole answer to the `fetch`, without reporting an error.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from mediaserver.client.flows.actions import NIL, Action, FlowError


@dataclass(slots=True)
class _Stack:
    actions: Sequence[Action]
    returns_to: UUID = NIL  # the id of the action, on the stack below, after which the flow goes on


class FlowStacks:
    """The actions of a running flow on their stacks, and the place of the action that is executed now."""

    def __init__(self, actions: Sequence[Action]) -> None:
        self._stacks = [_Stack(actions)]
        self._current: UUID | None = None  # the id of the current action; None before the first action
        # The id of the action to execute next, if it is not the one that follows in the list.
        self._forward: UUID | None = None

    def push(self, actions: Sequence[Action]) -> str:
        """Execute `actions` next. Returns "", or a line that says which action's id is missing or repeated."""
        if not actions:
            return ""
        assert self._current is not None  # noqa: S101 - an action of the flow has fetched `actions`
        self._stacks.append(_Stack(actions, self._current))
        self._forward = actions[0].id
        if actions[0].id == NIL:
            # To the platform an id of zeros means that there is no next action: the platform goes on after the
            # `fetch`.
            self._stacks.pop()
            self._forward = None
            return "the first action has no id, so the platform executes none of them: each needs a UUID"
        ids = [action.id for action in actions]
        if NIL in ids:
            return f"action {ids.index(NIL) + 1} has no id, so the platform ends the flow there"
        repeated = next((number for number, each in enumerate(ids, 1) if each in ids[: number - 1]), 0)
        return (
            f"action {repeated} has the id of an earlier one, so the platform confuses them: give each its own"
            if repeated
            else ""
        )

    def go_to(self, target: UUID) -> None:
        """Execute the action with the id `target` next; FlowError if no stack has an action with this id."""
        if target == NIL or all(self._find(stack, target) is None for stack in self._stacks):
            raise FlowError("there is no action with the id to go to")
        self._forward = target

    def original(self, action: Action) -> Action:
        """The action of the flow, with its variables' names, of which `action` is a copy with their values."""
        return next(each for stack in reversed(self._stacks) for each in stack.actions if each.id == action.id)

    def advance(self) -> Action | None:
        """Go to the next action, and return it; None at the end of the flow."""
        if self._forward is not None:
            target, self._forward = self._forward, None
            return self._enter(target)
        if self._current is None:
            first = self._stacks[0].actions[0]
            self._current = first.id
            return first
        current = self._current
        while self._stacks:
            stack = self._stacks[-1]
            index = self._find(stack, current)
            if index is None:
                return None
            if stack.actions[index].next_id != NIL:
                return self._enter(stack.actions[index].next_id)
            if index + 1 < len(stack.actions):
                return self._enter(stack.actions[index + 1].id)
            current = stack.returns_to
            self._stacks.pop()
        return None

    def _enter(self, target: UUID) -> Action | None:
        """Make the action with the id `target` the current one, and drop the stacks above its own stack."""
        while target != NIL and self._stacks:
            index = self._find(self._stacks[-1], target)
            if index is not None:
                self._current = target
                return self._stacks[-1].actions[index]
            self._stacks.pop()
        return None

    @staticmethod
    def _find(stack: _Stack, target: UUID) -> int | None:
        """The index of a stack's first action with this id; None if there is none."""
        return next((index for index, each in enumerate(stack.actions) if each.id == target), None)
