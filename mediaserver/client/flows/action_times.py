"""How long each action holds a VoIPBIN flow, and which of VoIPBIN's two managers executes the action.

An action holds the flow if the next action is executed only after a time or an event.
"""

from collections.abc import Callable
from dataclasses import dataclass

from mediaserver.client.flows.actions import Action
from mediaserver.wire.voipbin.actions import PUSHING

_CHARACTERS_PER_SECOND = 15  # the assumed pace of a spoken text, because the simulation has no TTS
# The duration in seconds of a beep, and the assumed duration of each file that the action `play` plays.
_BEEP, _PLAYED = 0.3, 2.0
_ECHO = 180.0  # the seconds for which the action `echo` lasts if it has no duration

# Actions that VoIPBIN's flow manager executes. While one of them is executed, a DTMF key is still handled by the
# last action of VoIPBIN's call manager.
OF_FLOW_MANAGER = frozenset(
    (
        *("ai_summary", "branch", "call", "condition_call_digits", "condition_call_status", "condition_datetime"),
        *("condition_variable", "conversation_send", "email_send", "fetch", "fetch_flow", "goto", "message_send"),
        *("stop", "transcribe_recording", "transcribe_start", "variable_set", "webhook_send"),
    )
)
# Actions whose failure ends the flow, and with it the call.
ENDS_FLOW_ON_ERROR = frozenset(("branch", "fetch", "fetch_flow", "goto"))
# Actions that connect the caller with another party. For each of them except `confbridge_join`, VoIPBIN's flow
# manager executes a second action.
_OTHER_PARTY = PUSHING | {"confbridge_join"}
_NOT_SIMULATED = OF_FLOW_MANAGER | {
    "amd",
    "mute",
    "recording_start",
    "recording_stop",
    "transcribe_stop",
}


@dataclass(frozen=True, slots=True)
class Hold:
    """The seconds for which an action holds the flow (None if it does not), and a note on the action for the log.

    `pushes` is the number of further actions that VoIPBIN executes, and counts, for the action.
    """

    seconds: float | None = None
    note: str = ""
    is_problem: bool = False
    pushes: int = 0


def hold_of(action: Action, bridged: float) -> Hold:
    """How long an action of which only the duration is simulated holds the flow; FlowError if an option is wrong.

    `bridged` is the number of seconds for which an action connects the caller with another party.
    """
    if action.type == "answer":
        return Hold()
    if action.type in _OTHER_PARTY:
        pushes = int(action.type in PUSHING)
        return Hold(bridged, f"another party is with the caller for {bridged:g} s", pushes=pushes)
    if action.type in _HOLDING:
        return _HOLDING[action.type](action)
    if action.type in _NOT_SIMULATED:
        return Hold(note="not simulated")
    return Hold(note="the platform knows no such action, and goes on with the next one", is_problem=True)


def _milliseconds(action: Action) -> Hold:
    return Hold(max(0, action.integer("duration")) / 1000)


def _echo(action: Action) -> Hold:
    return Hold(max(0, action.integer("duration")) / 1000 or _ECHO, "the echo is not simulated")


def _talk(action: Action) -> Hold:
    seconds = round(len(action.text("text")) / _CHARACTERS_PER_SECOND, 1)
    if action.flag("async"):
        return Hold(note=f"some {seconds:g} s of speech, which is not simulated, beside the flow")
    return Hold(seconds, f"some {seconds:g} s of speech, which is not simulated")


def _play(action: Action) -> Hold:
    files = action.option.get("stream_urls")
    seconds = _PLAYED * (len(files) if isinstance(files, list) else 0)
    return Hold(seconds, f"taken for {seconds:g} s: what is played is not simulated")


def _digits_send(action: Action) -> Hold:
    keys = len(action.text("digits"))
    total = action.integer("duration") * keys + action.integer("interval") * max(0, keys - 1)
    return Hold(max(0, total) / 1000)


_HOLDING: dict[str, Callable[[Action], Hold]] = {
    "beep": lambda action: Hold(_BEEP),
    "digits_receive": _milliseconds,
    "digits_send": _digits_send,
    "echo": _echo,
    "play": _play,
    "sleep": _milliseconds,
    "stream_echo": _echo,
    "talk": _talk,
}
