"""One stream with one peer: what a handler sees of a call. Knows no sockets: the shell around it has them."""

from mediaserver.session.disk import Disk
from mediaserver.session.hearing import MAX_EVENTS
from mediaserver.session.inbound_monitor import InboundProblem
from mediaserver.session.keypad import BargeIn, Collected
from mediaserver.session.modes import USUAL_MODES, Modes, create, make_folders
from mediaserver.session.outbox import Outbox
from mediaserver.session.recording import Recording
from mediaserver.session.session import Session
from mediaserver.session.stream import CloseCode, End, EndReason, Stream
from mediaserver.session.utterances import Utterance, Utterances
from mediaserver.session.wavfile import stay_within

__all__ = [
    "MAX_EVENTS",
    "USUAL_MODES",
    "BargeIn",
    "CloseCode",
    "Collected",
    "Disk",
    "End",
    "EndReason",
    "InboundProblem",
    "Modes",
    "Outbox",
    "Recording",
    "Session",
    "Stream",
    "Utterance",
    "Utterances",
    "create",
    "make_folders",
    "stay_within",
]
