"""What to do when a stream that we dial does not work: a line for each row of VoIPBIN's troubleshooting list.

Connection drops; no audio received; audio quality poor; cannot send audio.
"""

from mediaserver.errors import PeerError, RefusedError
from mediaserver.session import CloseCode, Session

POOR_LOSS = 0.01  # of the packets: heard as clicks and missing syllables
POOR_JITTER = 30.0  # ms: more than a small jitter buffer hides

_REFUSALS = {
    400: "the request is not understood: check the id and the encapsulation",
    401: "the token is not accepted: check that voipbin.token is valid and not expired",
    403: "the token may not do this: check that it belongs to the account of the call or conference",
    404: "it is not there: check the id, and that the call is answered and not over",
}


def on_failure(error: PeerError | RefusedError, resource: str, has_token: bool) -> str:
    """Why there is no connection, and what to check."""
    if isinstance(error, RefusedError) and error.status == 401 and not has_token:
        return f"{resource}: refused with 401: voipbin.token is not set ({error})"
    if isinstance(error, RefusedError):
        check = _REFUSALS.get(error.status, "the platform cannot serve it now")
        return f"{resource}: refused with {error.status}: {check} ({error})"
    return f"{resource}: {error}: check voipbin.api, and that the firewall lets WebSockets out"


_CLOSES = {
    1008: "the platform's policy: check that voipbin.token is still valid",
} | dict.fromkeys((1002, 1003, 1007, 1009), "the peer does not take our messages: check encapsulation and framing")


def on_close(code: int, resource: str) -> str:
    """Why the peer closed for good, and what to check."""
    return f"{resource}: closed by the peer with {code}: {_CLOSES.get(code, 'it gives no reason that we know')}"


def on_break(code: int, frames: int) -> str:
    """Why a connection is taken up again; `frames` of ours went out where it broke soon after."""
    if frames and code == CloseCode.ABNORMAL:
        return DROPPED
    return f"the connection broke ({code})" if code == CloseCode.ABNORMAL else f"closed by the peer with {code}"


def no_audio(seconds: float) -> str:
    """Connected, and nothing comes."""
    return f"no audio received in {seconds:g} s: is the call answered, and the encapsulation right?"


TEXT = "the peer sends text messages: audio is in binary ones; is this a media stream?"
DROPPED = (
    "the connection breaks as soon as we speak: the peer does not take the audio's format; "
    "try another encapsulation, framing or rtp_payload"
)


def on_quality(session: Session) -> list[str]:
    """What was wrong with the audio of a stream that is over, as far as anybody listened to it."""
    hearing, found = session.hearing, []
    if hearing.malformed:
        found.append(
            f"{hearing.malformed} messages were not {hearing.wire.settings.encapsulation}: "
            "ask for the encapsulation that the peer speaks"
        )
    packets = hearing.packets
    expected = packets.received + packets.lost
    if expected and packets.lost / expected > POOR_LOSS:
        found.append(f"{packets.lost} of {expected} packets were lost: check the network")
    if hearing.jitter_ms > POOR_JITTER:
        found.append(f"audio came with {hearing.jitter_ms:.0f} ms of jitter: check the network's latency")
    return found
