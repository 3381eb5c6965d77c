"""Advice for the operator when a stream that this server dials does not work.

The symptoms are those in VoIPBIN's guide to troubleshooting: connection drops, no audio received, poor audio
quality, cannot send audio.
"""

from mediaserver.call import CloseCode, Session
from mediaserver.call.problems import find_problems
from mediaserver.client.dial import UpgradeRefusedError
from mediaserver.client.voipbin import Credential
from mediaserver.errors import PeerError

_REFUSALS = {
    400: "the platform does not accept the request: check the id and the encapsulation",
    404: "no such call or conference: check the id, and that the call is answered and not over",
    410: "the call or conference is over: check the id",
    429: "too many requests: set voipbin.dial_rate lower, and check what else uses this account",
}

NO_CREDENTIAL = "VoIPBIN wants a credential: set voipbin.token or voipbin.access_key"


def on_failure(error: PeerError, resource: str, credential: Credential | None) -> str:
    """The advice for the operator if a stream could not be dialled: why, and what to check."""
    if isinstance(error, UpgradeRefusedError):
        return f"{resource}: refused with {error.status}: {_on_refusal(error.status, credential)} ({error})"
    unset = "" if credential is not None else f"; {NO_CREDENTIAL}"
    return f"{resource}: {error}: check voipbin.api, and that the firewall lets WebSockets out{unset}"


def _on_refusal(status: int, credential: Credential | None) -> str:
    if status not in (401, 403):
        return _REFUSALS.get(status, "the platform cannot serve it now")
    if credential is None:
        return "set voipbin.token or voipbin.access_key"
    name = "token" if credential.parameter == "token" else "access key"
    if status == 401:
        return f"the {name} is not accepted: check that {credential.setting} is valid and not expired"
    return f"the {name} may not do this: check that it belongs to the account of the call or conference"


def on_close(code: int, resource: str, credential: Credential | None) -> str:
    """The advice for the operator if the peer closed a stream for good: why, and what to check."""
    if code == CloseCode.POLICY:
        setting = credential.setting if credential is not None else "voipbin.token or voipbin.access_key"
        why = f"the platform's policy: check that {setting} is still valid"
    elif code in (1002, 1003, 1007, 1009):
        why = "the peer does not take our messages: check encapsulation and framing"
    else:
        why = "no cause of this close code is known"
    return f"{resource}: closed by the peer with {code}: {why}"


def on_break(code: int) -> str:
    """The reason, for the operator, why a stream whose connection broke is dialled again."""
    return f"the connection broke ({code})" if code == CloseCode.ABNORMAL else f"closed by the peer with {code}"


TEXT = "audio comes in binary messages: check that the URL is that of a media stream"
DROPPED = (
    "the connection breaks as soon as we speak: the peer does not take the audio's format; "
    "leave framing and rtp_payload at auto, or try another encapsulation"
)
# The kinds of problems of received audio that the log tells of at a stream's end.
_QUALITY = {"malformed", "no-keys", "loss", "jitter"}


def on_quality(session: Session) -> list[str]:
    """One line for each problem of an ended stream's inbound audio, if a handler listened to the audio."""
    found = find_problems(session.summary(), session.failures)
    return [problem.text for problem in found if problem.kind in _QUALITY]
