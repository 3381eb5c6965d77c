"""Says in words what was bad about a stream, for the operator who has to explain the call."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from mediaserver.audio.pcm import PTIME
from mediaserver.call.inbound.monitor import InboundProblem
from mediaserver.events.kinds import FAILURES, EventKind
from mediaserver.transport.closing import EndReason
from mediaserver.wire.encapsulation import Framing

POOR_LOSS = 0.01  # the fraction of lost packets above which clicks and missing syllables are heard
POOR_JITTER = 30.0  # the jitter in milliseconds above which a small jitter buffer does not hide it
_POOR_SHARE = 0.01  # the fraction of frames above which frames that are late, or lack sound, are told of
_FEW = 10  # frames (0.2 s) that may be late or lack in a call, however short: a live sound may begin with silence
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
_NO_KEYS = (
    "No key was heard, though one was waited for: the keys of most telephones (RFC 4733) do not reach a media "
    "stream, only tones in its sound do; POST /v1/streams/<id>/digits brings them by another way "
    "(docs/flow-builders/keys.md)."
)


class Problem(NamedTuple):
    """One thing that was bad about a stream: a fixed word for programs, and a sentence for people."""

    kind: str
    text: str


class Failures:
    """What has failed on one stream: for each kind of failure, how often, and why the latest time."""

    __slots__ = ("_latest", "count")

    def __init__(self) -> None:
        self._latest: dict[str, tuple[int, str]] = {}
        self.count = 0  # the number of all failures

    def add(self, kind: str, why: str) -> None:
        """Count a failure."""
        self.count += 1
        self._latest[kind] = self._latest.get(kind, (0, ""))[0] + 1, why

    def add_event(self, kind: str, data: Mapping[str, Any]) -> None:
        """Count an event, if it is one about a failure. `stream.inbound` is in the summary of its stream."""
        if kind == EventKind.BRIDGE_SILENT:
            self.add(kind, f"{data['host']}, {data['seconds']:g} s long; does it speak the path's protocol?")
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
    for kind, tell in _MEASURES.items():
        if text := tell(summary):
            found.append(Problem(kind, text))
    return [*found, *(each for each in failed if each.kind == UNDELIVERED)]


def _ending(summary: Mapping[str, Any]) -> list[Problem]:
    reason, why = summary.get("reason"), summary.get("why", "")
    text = _ENDINGS.get(reason or "")
    if text is None:
        return []
    return [Problem(str(reason), f"{text[:-1]}: {why}." if why else text)]


def _inbound_problem(problem: str, summary: Mapping[str, Any]) -> str:
    if problem == InboundProblem.NO_AUDIO and _is_unreadable(summary):
        return "Nothing that the far end sent could be read as sound."
    hint = InboundProblem(problem).hint(dialled="resource" in summary)
    return _sentence(hint[0].upper() + hint[1:])


def _is_unreadable(summary: Mapping[str, Any]) -> bool:
    """Whether most of the peer's messages were malformed, so that the stream has the wrong wire format."""
    return bool(summary["malformed"] * 2 > summary["received"])


def _lateness(summary: Mapping[str, Any]) -> str:
    late, skipped = summary["late"], summary["skipped"]
    if skipped < _FEW and late + skipped <= max(_FEW, _POOR_SHARE * summary["frames"]):
        return ""
    lost = f"{skipped * PTIME:.1f} s nothing was sent"
    return f"This server was held up: {_frames(late)} came late, and for {lost}. Health has the server's lateness."


def _stalls(summary: Mapping[str, Any]) -> str:
    if not summary["stalls"]:
        return ""
    stood = f"sending stood still {_times(summary['stalls'])}, for {summary['stalled_s']:.1f} s in all"
    return f"The far end read too slowly: {stood}. Look at the network, and at what reads at the far end."


def _underruns(summary: Mapping[str, Any]) -> str:
    underruns = summary["underruns"]
    if underruns <= max(_FEW, _POOR_SHARE * summary["frames"]):
        return ""
    cause = "sound was not there in time: that of a bot, of speech, or of a prompt that was not decoded yet"
    return f"{underruns * PTIME:.1f} s of silence were sent, because {cause}."


def _loss(summary: Mapping[str, Any]) -> str:
    lost, late = summary.get("lost_packets", 0), summary.get("late_packets", 0)
    expected = lost + summary.get("packets", 0) - late  # a late packet counts as received and as lost
    if expected <= 0 or lost / expected <= POOR_LOSS:
        return ""
    came = f", {late} of them because they came too late" if late else ""
    share = f"{lost / expected:.1%}"
    return f"{lost} of {expected} RTP packets of the caller were lost ({share}){came}. Look at the network."


def _jitter(summary: Mapping[str, Any]) -> str:
    jitter = summary.get("jitter_ms", 0.0)
    return f"The caller's packets came with {jitter:.0f} ms of jitter." if jitter > POOR_JITTER else ""


def _malformed(summary: Mapping[str, Any]) -> str:
    malformed, why = summary["malformed"], summary.get("malformed_why", "")
    if not malformed:
        return ""
    encapsulation, _, framing = summary["wire"].partition("/")
    came = f"{malformed} of {summary['received']} messages of the far end were not {encapsulation}"
    if not _is_unreadable(summary):
        return f"{came}, and left out: {why}."
    advice = "ask for the encapsulation that it speaks"
    if framing == Framing.MESSAGE:
        advice = f'set framing = "{Framing.PCM}", or {advice}'
    return f"{came}{f' ({why})' if why else ''}: {advice}."


def _texts(summary: Mapping[str, Any]) -> str:
    texts = summary["texts"]
    came = "1 text message" if texts == 1 else f"{texts} text messages"
    return f"{came} of the far end went unread: sound comes in binary messages, and keys do, too." if texts else ""


def _dropped(summary: Mapping[str, Any]) -> str:
    dropped = summary["dropped"]
    return f"{_frames(dropped)} of the caller were dropped: the handler took them too slowly." if dropped else ""


def _breaks(summary: Mapping[str, Any]) -> str:
    if not summary.get("reconnects"):
        return ""
    lost = f"{summary['lost'] * PTIME:.1f} s of sound may not have arrived"
    return f"The connection broke {_times(summary['reconnects'])}, and was made again: {lost}."


def _no_keys(summary: Mapping[str, Any]) -> str:
    return _NO_KEYS if "resource" in summary and summary.get("keys") == 0 else ""


_MEASURES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "late": _lateness,
    "slow-peer": _stalls,
    "underruns": _underruns,
    "loss": _loss,
    "jitter": _jitter,
    "malformed": _malformed,
    "texts": _texts,
    "dropped": _dropped,
    "broken": _breaks,
    "no-keys": _no_keys,
}


def _sentence(text: str) -> str:
    return text if text.endswith("?") else f"{text}."


def _frames(number: int) -> str:
    return "1 frame" if number == 1 else f"{number} frames"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
