"""Parses VoIPBIN's action `external_media_start`: which address VoIPBIN dials for a call's media, and how."""

from dataclasses import dataclass

from mediaserver.client.flows.actions import Action, FlowError
from mediaserver.wire.codec import Codec
from mediaserver.wire.encapsulation import Encapsulation

MAX_MEDIA = 5  # the maximum number of external media streams that a call may have at the same time
# The codecs in which Asterisk may send over AudioSocket, by Asterisk's names. Asterisk itself accepts only `slin`.
_FORMATS = {"slin": Codec.SLIN, "ulaw": Codec.MULAW, "alaw": Codec.ALAW}
IGNORED_URL = (
    "dialled as the tutorial describes it; the platform's public code ignores url, and wants external_host"
)


@dataclass(frozen=True, slots=True)
class MediaRequest:
    """A request for an external media stream, which goes on beside the flow until the call ends."""

    number: int  # the number of the stream among the external media streams of its call, from 1
    url: str  # the URL to dial: ws:// or wss:// is dialled by VoIPBIN, tcp://host:port by VoIPBIN's Asterisk
    encapsulation: Encapsulation
    codec: Codec = Codec.SLIN  # the codec of the audio that the server receives; the server always sends `slin`
    hears_caller: bool = False  # whether the server receives the caller's audio
    heard_by_caller: bool = True  # whether the caller hears the server's audio


def media_request(action: Action, number: int) -> MediaRequest:
    """The media stream that an action asks for; FlowError if the platform refuses it, or it is not simulated."""
    host, url = action.text("external_host"), action.text("url")
    if not host:
        if not url:
            raise FlowError("has neither external_host nor url, so the platform has no address to dial")
        name = action.text("encapsulation") or Encapsulation.RTP
        if name not in list(Encapsulation):
            raise FlowError(f"there is no encapsulation {name}")
        return MediaRequest(number, url, Encapsulation(name))
    listen, speak = action.text("direction_listen"), action.text("direction_speak")
    if not (listen or speak):
        raise FlowError("has no direction, which Asterisk refuses: set direction_listen and direction_speak")
    encapsulation = action.text("encapsulation") or "rtp"
    transport, name = action.text("transport") or "udp", action.text("format") or "ulaw"
    if (encapsulation, transport) != ("audiosocket", "tcp"):
        raise FlowError(f"{encapsulation} over {transport} is not simulated, only audiosocket over tcp is")
    if name not in _FORMATS:
        raise FlowError(f"the format {name} is not simulated, only {', '.join(_FORMATS)} are")
    return MediaRequest(
        number,
        f"tcp://{host}",
        Encapsulation.AUDIOSOCKET,
        _FORMATS[name],
        hears_caller=listen in ("in", "both"),
        heard_by_caller=speak in ("out", "both"),
    )
