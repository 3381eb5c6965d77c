"""Says in words what was bad about a stream, for the operator who has to explain the call."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from mediaserver.call.inbound.monitor import InboundProblem
from mediaserver.call.measures import MEASURES, describe_gaps, is_unreadable
from mediaserver.events.kinds import FAILURES, EventKind
from mediaserver.transport.closing import EndReason

UNDELIVERED = "event.undelivered"  # the failure of a webhook to take an event of the stream

_ENDINGS: Mapping[str, str] = {
    EndReason.PEER_VANISHED: "The connection broke without a close: the far end died, or the network failed.",
    EndReason.REFUSED: "The far end refused the stream that this server dialled.",
    EndReason.UNREACHABLE: "The far end, which this server dialled, did not answer in time.",
    EndReason.PROTOCOL_ERROR: "The far end broke the protocol.",
    EndReason.OVERSIZE: "The far end sent a message larger than server.max_message_bytes.",
    EndReason.FLOOD: "The far end sent more messages than server.max_message_rate.",
    EndReason.STALLED: "The far end read nothing for server.stall_timeout seconds.",
    EndReason.UNANSWERED: "The far end answered no pings: it died, or the network failed.",
    EndReason.TIME_LIMIT: "The stream reached its time limit.",
    EndReason.DRAINED: "This server was shut down.",
    EndReason.ERROR: "The handler failed: the log of this server has the traceback.",
}
_FAILURES: Mapping[str, str] = {
    EventKind.RECORDING_FAILED: "A recording failed",
    EventKind.TRANSCRIPT_FAILED: "The transcript could not be written",
    EventKind.REPORT_FAILED: "The report could not be written",
    EventKind.SPEECH_FAILED: "A text could not be spoken",
    EventKind.RECOGNITION_FAILED: "Speech of the caller could not be recognised",
    EventKind.ASSISTANT_FAILED: "The assistant failed",
    EventKind.BRIDGE_SILENT: "The application said nothing",
    EventKind.BRIDGE_LOST: "The connection to the application broke",
    EventKind.BRIDGE_FAILED: "The application was given up",
    EventKind.WEBHOOK_SLOW: "A webhook was slow to answer, and the caller heard nothing meanwhile",
    EventKind.WEBHOOK_FAILED: "A webhook gave no usable answer",
    EventKind.FLOW_FAILED: "The call's flow failed",
    EventKind.CONTROL_FAILED: "The platform did not do what was asked of the call",
    UNDELIVERED: "An event was not delivered to events.url",
}


class Problem(NamedTuple):
    """One thing that was bad about a stream: a fixed word for programs, and a sentence for people."""

    kind: str
    text: str


class Failures:
    """What has failed on one stream: for each kind of failure, how often, and why the latest time."""

    __slots__ = ("_latest", "count", "menu_timeouts")

    def __init__(self) -> None:
        self._latest: dict[str, tuple[int, str]] = {}
        self.count = 0  # the number of all failures, and of all time-outs of menus
        self.menu_timeouts = 0  # which are no failures where the caller presses keys at all

    def add(self, kind: str, why: str) -> None:
        """Count a failure."""
        self.count += 1
        self._latest[kind] = self._latest.get(kind, (0, ""))[0] + 1, why

    def add_event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Count an event, if it is one about something bad. `stream.inbound` is in the summary of its stream."""
        if kind == EventKind.MENU_TIMEOUT:
            self.count += 1
            self.menu_timeouts += 1
        elif kind == EventKind.BRIDGE_SILENT:
            self.add(
                kind, f"{data['host']} was connected for {data['seconds']:g} s. Does it speak the path's protocol?"
            )
        elif kind == EventKind.WEBHOOK_SLOW:
            self.add(kind, f"{data['webhook']}: {data['seconds']:.1f} s")
        elif kind in FAILURES and kind != EventKind.STREAM_INBOUND:
            why, where = data.get("why") or data.get("error") or "", data.get("file") or data.get("host") or ""
            self.add(kind, f"{where}: {why}" if where and not why.startswith(where) else why)

    def problems(self) -> list[Problem]:
        """The failures in words, the earliest kind first."""
        told: list[Problem] = []
        for kind, (count, why) in self._latest.items():
            times = f", {count} times" if count > 1 else ""
            told.append(Problem(str(kind), _sentence(f"{_FAILURES[kind]}{times}{f': {why}' if why else ''}")))
        return told


def find_problems(summary: Mapping[str, Any], failures: Failures) -> list[Problem]:
    """What was bad about a stream, by its summary so far: how it ended, what failed, and what its sound lacked.

    What the caller noticed most comes first, and events that were not delivered come last.
    """
    failed = failures.problems()
    found = [*_ending(summary), *(each for each in failed if each.kind != UNDELIVERED)]
    found += [
        Problem(problem, _inbound_problem(problem, summary)) for problem in summary.get("inbound_problems", ())
    ]
    figures = {**summary, "menu_timeouts": failures.menu_timeouts}
    for kind, tell in MEASURES.items():
        if text := tell(figures):
            found.append(Problem(kind, text))
    return [*found, *(each for each in failed if each.kind == UNDELIVERED)]


def _ending(summary: Mapping[str, Any]) -> list[Problem]:
    reason, why = summary.get("reason"), summary.get("why", "")
    text = _ENDINGS.get(reason or "")
    if text is None:
        return []
    return [Problem(str(reason), f"{text[:-1]}: {why}." if why else text)]


def _inbound_problem(problem: str, summary: Mapping[str, Any]) -> str:
    if problem == InboundProblem.NO_AUDIO and is_unreadable(summary):
        return "Nothing that the far end sent could be read as sound."
    gaps = [each for each in summary.get("impairments", ()) if each["kind"] == "gap"]
    if problem == InboundProblem.STOPPED and gaps:
        when = describe_gaps(gaps, summary)
        return f"The far end sent nothing {when}: the call may be over, or nobody spoke in its bridge."
    hint = InboundProblem(problem).hint(dialled="resource" in summary)
    return _sentence(hint[0].upper() + hint[1:])


def _sentence(text: str) -> str:
    return text if text.endswith("?") else f"{text}."
