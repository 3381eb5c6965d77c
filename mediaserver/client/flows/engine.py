"""VoIPBIN's flow engine, simulated as a state machine that takes actions, keys and the time, and returns commands.

A running flow executes one action after another. Actions of the *flow manager* (`fetch`, `variable_set`, `goto` …)
take no time, except `fetch`. Actions of the *call manager* (`answer`, `digits_receive`, `sleep` …) may hold the
flow. The call manager's last action handles a DTMF key: `digits_receive` appends the key to the variable
`voipbin.call.digits`; with any other action, the key replaces the variable's value. External media goes on beside
all actions until the call ends.

Times are seconds since the call began. The engine reads no clock.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from mediaserver.client.flows import action_times
from mediaserver.client.flows.action_times import Hold
from mediaserver.client.flows.actions import Action, FlowError
from mediaserver.client.flows.media import IGNORED_URL, MAX_MEDIA, MediaRequest, media_request
from mediaserver.client.flows.stacks import FlowStacks
from mediaserver.wire.voipbin.actions import DIGITS

MAX_EXECUTED = 100  # the number of executed actions above which the next action ends the flow and the call
FETCH_TIMEOUT = 3.0  # the seconds for which the platform waits for the answer to the action `fetch`


@dataclass(frozen=True, slots=True)
class Fetch:
    """The command to send an HTTP request with the flow's and call's ids, and pass its answer to `fetched`."""

    url: str
    method: str


@dataclass(frozen=True, slots=True)
class StopMedia:
    """The command to hang up all external media streams."""


Command = Fetch | MediaRequest | StopMedia


@dataclass(slots=True)
class ExecutedAction:
    """An executed action in the log: when it began, when it ended (None while it holds the flow), and a note."""

    at: float
    action: Action  # the action, with the values of variables filled in
    ended: float | None = None
    note: str = ""
    is_problem: bool = False  # whether the note says that something is wrong


@dataclass(slots=True)
class _State:
    """What the flow waits for: the time `due` at which an action ends, or the answer to a `fetch`, or nothing."""

    due: float | None = None
    fetching: bool = False


class FlowEngine:
    """Executes the flow of one call. Methods return commands, which the code that calls a method has to execute.

    `bridged` is the number of seconds for which the caller talks with another party whom an action connects,
    because this party is not simulated. `ended` says why the call is over; it is "" while the call goes on.
    """

    def __init__(
        self,
        actions: Sequence[Action],
        activeflow_id: UUID,
        call_id: UUID,
        variables: Mapping[str, str] | None = None,
        bridged: float = 2.0,
    ) -> None:
        self.variables = {
            "voipbin.activeflow.id": str(activeflow_id),
            "voipbin.activeflow.reference_type": "call",
            "voipbin.activeflow.reference_id": str(call_id),
            "voipbin.call.id": str(call_id),
            "voipbin.call.direction": "incoming",
            DIGITS: "",
            **(variables or {}),
        }
        self.log: list[ExecutedAction] = []
        self.ended = ""
        self._stacks, self._bridged = FlowStacks(actions), bridged
        self._state = _State()
        self._executed = 0
        self._at_call: Action | None = None  # the last action that VoIPBIN's call manager executed
        self._media: set[int] = set()  # the numbers of the external media streams in progress
        self._started_media = 0

    @property
    def due(self) -> float | None:
        """The time at which `advance` has to be called; None if the flow does not wait for a time."""
        return self._state.due

    @property
    def fetching(self) -> bool:
        """Whether the flow waits for the answer to a `fetch`."""
        return self._state.fetching

    @property
    def current(self) -> ExecutedAction | None:
        """The action that was executed last, which may hold the flow."""
        return self.log[-1] if self.log else None

    # -- events: time, keys, answers and hang-ups ----------------------------------------------------------------

    def start(self, now: float = 0.0) -> list[Command]:
        """Execute the first actions of the flow."""
        return self._continue(now)

    def advance(self, now: float) -> list[Command]:
        """Go on with the flow, if the time of the action that holds the flow is over."""
        if self.ended or self._state.due is None or now < self._state.due:
            return []
        if self._state.fetching:
            self._note(f"no answer within {FETCH_TIMEOUT:g} s: the platform executes nothing more", True)
            self._state = _State()
            return []
        return self._finish(now)

    def press(self, digit: str, now: float) -> list[Command]:
        """Handle a DTMF key of the caller. The key reaches the flow, but is not in the audio (RFC 4733)."""
        if self.ended:
            return []
        action = self._at_call
        if action is None or action.type != "digits_receive":
            self.variables[DIGITS] = digit
            holds = action is not None and action.type == "talk" and self._is_held_by(action)
            return self._finish(now) if holds and action and action.option.get("digits_handle") == "next" else []
        self.variables[DIGITS] += digit
        return self._finish(now) if self._is_held_by(action) and self._digits_suffice(action) else []

    def fetched(self, answer: Sequence[Action] | FlowError, now: float) -> list[Command]:
        """Go on with the actions that answered the awaited `fetch`, or end the call for the error in `answer`."""
        if self.ended or not self._state.fetching:
            return []
        if isinstance(answer, FlowError):
            self._note(f"{answer}: the platform hangs up", True)
            self._end(f"fetch: {answer}", now)
            return []
        problem = self._stacks.push(answer)
        self._note(problem or f"{len(answer)} action{'s' if len(answer) != 1 else ''}", bool(problem))
        return self._finish(now)

    def media_ended(self, number: int) -> None:
        """Note that a media stream is over: the server hung up, or could not be dialled. The flow goes on."""
        self._media.discard(number)

    def hang_up(self, now: float) -> None:
        """End the call, because the caller hangs up."""
        self._end("the caller hung up", now)

    # -- executing actions ---------------------------------------------------------------------------------------

    def _continue(self, now: float) -> list[Command]:
        """Execute actions until one of them holds the flow, or the call is over."""
        commands: list[Command] = []
        self._state = _State()
        while not self.ended and self._state.due is None:
            if self._executed > MAX_EXECUTED:
                self._note(f"more than {MAX_EXECUTED} actions were executed: the platform hangs up", True)
                self._end(f"more than {MAX_EXECUTED} actions were executed", now)
                break
            action = self._stacks.advance()
            if action is None:
                self._end("the flow has no more actions", now)
                break
            self._executed += 1
            commands += self._execute(action.with_variables(self.variables), now)
        return commands

    def _execute(self, action: Action, now: float) -> list[Command]:
        """Execute an action. The action ends at once, unless it sets a time until which it holds the flow."""
        entry = ExecutedAction(now, action)
        self.log.append(entry)
        if action.type not in action_times.OF_FLOW_MANAGER:
            self._at_call = action
        execute = _EXECUTED_HERE.get(action.type, FlowEngine._hold)
        command = None
        try:
            command = execute(self, action, now)
        except FlowError as error:
            self._fail(action, error, now)
        if self._state.due is None and entry.ended is None:
            entry.ended = now
        return [command] if command is not None else []

    def _fail(self, action: Action, error: FlowError, now: float) -> None:
        """Do what the platform does if an action cannot be executed: hang up, or go on with the next action."""
        if action.type in action_times.ENDS_FLOW_ON_ERROR:
            self._note(f"{error}: the platform hangs up", True)
            self._end(f"{action.type}: {error}", now)
        else:
            self._note(f"{error}: the platform goes on with the next action", True)

    def _hold(self, action: Action, now: float) -> Command | None:
        """Execute an action of which only the duration is simulated."""
        if action.type == "digits_receive":
            action.text("key")  # raises FlowError if the option `key` is no text
            if self._digits_suffice(action):
                self._note("keys that were pressed before are enough")
                return None
        hold: Hold = action_times.hold_of(action, self._bridged)
        self._executed += hold.pushes
        self._note(hold.note, hold.is_problem)
        if hold.seconds is not None:
            self._state = _State(now + hold.seconds)
        return None

    def _fetch(self, action: Action, now: float) -> Command:
        self._state = _State(now + FETCH_TIMEOUT, fetching=True)
        return Fetch(action.text("event_url"), action.text("event_method") or "GET")

    def _start_media(self, action: Action, now: float) -> Command:
        if len(self._media) >= MAX_MEDIA:
            raise FlowError(f"the call has {MAX_MEDIA} external media streams already")
        request = media_request(action, self._started_media + 1)
        self._started_media += 1
        self._media.add(request.number)
        self._note("" if request.url.startswith("tcp://") else IGNORED_URL)
        return request

    def _stop_media(self, action: Action, now: float) -> Command:
        self._media.clear()
        return StopMedia()

    def _set_variable(self, action: Action, now: float) -> None:
        self.variables[action.text("key")] = action.text("value")

    def _branch(self, action: Action, now: float) -> None:
        """Go to the action that belongs to the value of a variable, and empty the variable."""
        name = action.text("variable") or DIGITS
        value = self.variables.get(name, "")
        self.variables[name] = ""
        targets = action.option.get("target_ids") or {}
        known = isinstance(targets, dict) and value in targets
        self._stacks.go_to(Action("", targets).target(value) if known else action.target("default_target_id"))
        self._note(f'on "{value}"' + ("" if known else ", the default"))

    def _go_to(self, action: Action, now: float) -> None:
        left = action.integer("loop_count")
        if left <= 0:
            self._note("the loop is over")
            return
        self._stacks.go_to(action.target("target_id"))
        self._stacks.original(action).option["loop_count"] = left - 1

    def _stop(self, action: Action, now: float) -> None:
        self._end("the flow hung up" if action.type == "hangup" else "the flow was stopped", now)

    # -- the state of the flow -----------------------------------------------------------------------------------

    def _digits_suffice(self, action: Action) -> bool:
        """Whether the digits that were pressed so far suffice to end the action `digits_receive`."""
        digits, length = self.variables[DIGITS], action.integer("length")
        return bool((length > 0 and len(digits) >= length) or set(digits) & set(action.text("key")))

    def _is_held_by(self, action: Action) -> bool:
        """Whether this call-manager action holds the flow, and not a later action of the flow manager."""
        current = self.current
        return current is not None and current.action is action and current.ended is None

    def _finish(self, now: float) -> list[Command]:
        """End the action that holds the flow, and execute the next actions."""
        if (current := self.current) is not None:
            current.ended = now
        return self._continue(now)

    def _note(self, text: str, is_problem: bool = False) -> None:
        if (current := self.current) is not None and text:
            current.note, current.is_problem = text, current.is_problem or is_problem

    def _end(self, why: str, now: float) -> None:
        if not self.ended:
            self.ended, self._state = why, _State()
            if (current := self.current) is not None and current.ended is None:
                current.ended = now


_EXECUTED_HERE: dict[str, Callable[[FlowEngine, Action, float], Command | None]] = {
    "branch": FlowEngine._branch,
    "external_media_start": FlowEngine._start_media,
    "external_media_stop": FlowEngine._stop_media,
    "fetch": FlowEngine._fetch,
    "goto": FlowEngine._go_to,
    "hangup": FlowEngine._stop,
    "stop": FlowEngine._stop,
    "variable_set": FlowEngine._set_variable,
}
