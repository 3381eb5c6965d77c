"""Says in words what the figures of a stream show: which are worth a sentence, and where to look."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from mediaserver.audio.pcm import PTIME
from mediaserver.wire.encapsulation import Framing

POOR_LOSS = 0.01  # the fraction of lost packets above which clicks and missing syllables are heard
POOR_JITTER = 30.0  # the jitter in milliseconds above which a small jitter buffer does not hide it
_POOR_SHARE = 0.01  # the fraction of frames above which frames that are late, or lack sound, are told of
_FEW = 10  # frames (0.2 s) that may be late or lack in a call, however short: a live sound may begin with silence
_GAPS = 3  # the latest gaps in what a peer sent that are told of
_LOOKS = 1.5  # seconds that the latest look at a stream is old at most; looks are a second apart

_NO_KEYS = (
    "No key was heard, though one was waited for: the keys of most telephones (RFC 4733) do not reach a media "
    "stream, only tones in its sound do; POST /v1/streams/<id>/digits brings them by another way "
    "(docs/flow-builders/keys.md)."
)
_WHY_NO_KEY = (
    "the caller pressed none, or they do not reach this server. As what does the far end send keys "
    "(docs/flow-builders/keys.md)?"
)
_VAIN_WAITS = 2  # waits of menus without any key in the call that are told of: a caller may hesitate once


def describe_gaps(gaps: Sequence[Mapping[str, Any]], summary: Mapping[str, Any]) -> str:
    """When a peer sent nothing, such as "from 0:15 to 0:21, and since 0:40"."""
    *earlier, last = [f"from {_offset(each['from_s'])} to {_offset(each['to_s'])}" for each in gaps[-_GAPS:]]
    if summary["duration_s"] - gaps[-1]["to_s"] < _LOOKS:
        last = f"since {_offset(gaps[-1]['from_s'])}"
    return f"{', '.join(earlier)}, and {last}" if earlier else last


def is_unreadable(summary: Mapping[str, Any]) -> bool:
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
    if not is_unreadable(summary):
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
    if summary.get("keys") != 0:
        return ""
    if "resource" in summary:
        return _NO_KEYS
    waits = summary["menu_timeouts"]
    return f"A menu waited for a key {waits} times, and none came: {_WHY_NO_KEY}" if waits >= _VAIN_WAITS else ""


def _faint(summary: Mapping[str, Any]) -> str:
    caller = _loudness(summary, "caller")
    if not caller.get("faint"):
        return ""
    looks = f"in {caller['seconds']} looks, one a second, at a caller who was listened to"
    return (
        f"Nothing louder than {caller['loudest_dbfs']} dBFS was heard {looks}: nobody spoke, or the line is too "
        "quiet. A voice has some -15 in loud syllables."
    )


def _loud(summary: Mapping[str, Any]) -> str:
    caller = _loudness(summary, "caller")
    if not caller.get("loud"):
        return ""
    looks = f"in {caller['loud_seconds']} of {caller['seconds']} looks, one a second"
    return f"The caller is too loud {looks}: most likely clipped, or decoded by the wrong codec (inbound)."


def _muted(summary: Mapping[str, Any]) -> str:
    since = _loudness(summary, "caller").get("muted_since_s")
    if since is None:
        return ""
    return f"Only digital silence has come from the caller since {_offset(since)}: the far end is muted, or gone."


def _faint_us(summary: Mapping[str, Any]) -> str:
    us = _loudness(summary, "us")
    if not us.get("faint"):
        return ""
    heard = f"louder than {us['loudest_dbfs']} dBFS in {us['seconds']} looks, one a second"
    return f"What we sent was never {heard}: too quiet to be heard. A voice has some -15 in loud syllables."


def _loud_us(summary: Mapping[str, Any]) -> str:
    us = _loudness(summary, "us")
    if not us.get("loud"):
        return ""
    looks = f"in {us['loud_seconds']} of {us['seconds']} looks, one a second"
    return f"What we sent was too loud {looks}: most likely it is clipped."


def _prompts(summary: Mapping[str, Any]) -> str:
    warnings = summary.get("prompt_warnings")
    return f"The prompt {'; '.join(warnings)}. See Prompts." if warnings else ""


def _adjusted(summary: Mapping[str, Any]) -> str:
    muted, gain = summary.get("muted", ()), summary.get("gain", 0.0)
    told = ["muted us"] if "us" in muted else []
    told += ["muted the caller for the handler"] if "caller" in muted else []
    told += [f"set our gain to {gain:+g} dB"] if gain else []
    return f"Requests have {' and '.join(told)}: see the events." if told else ""


def _loudness(summary: Mapping[str, Any], side: str) -> Mapping[str, Any]:
    """How loud a side was, as the call's history has it; nothing where there is none."""
    found: Mapping[str, Any] = summary.get("levels", {}).get(side, {})
    return found


# For each kind of problem a function that returns the sentence about it, "" if a stream does not have it.
MEASURES: dict[str, Callable[[Mapping[str, Any]], str]] = {
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
    "faint": _faint,
    "loud": _loud,
    "muted": _muted,
    "faint-us": _faint_us,
    "loud-us": _loud_us,
    "prompt": _prompts,
    "adjusted": _adjusted,
}


def _frames(number: int) -> str:
    return "1 frame" if number == 1 else f"{number} frames"


def _offset(seconds: float) -> str:
    """A time since the beginning of the call as `1:05`."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
