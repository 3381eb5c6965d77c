"""One stream with one peer: what a handler sees of a call. Knows no sockets: the shell around it has them."""

from mediaserver.call.call import Call
from mediaserver.call.endpointing import Utterance, Utterances
from mediaserver.call.event_sink import Outbox
from mediaserver.call.inbound_monitor import InboundProblem
from mediaserver.call.keypad import BargeIn, Collected
from mediaserver.call.receiver import MAX_EVENTS
from mediaserver.call.recording.disk import Disk
from mediaserver.call.recording.file_modes import USUAL_MODES, Modes, create, make_folders
from mediaserver.call.recording.recorder import Recording
from mediaserver.call.recording.wav_writer import stay_within
from mediaserver.call.session import Session
from mediaserver.call.stream import Stream
from mediaserver.transport.closing import CloseCode, End, EndReason

__all__ = [
    "MAX_EVENTS",
    "USUAL_MODES",
    "BargeIn",
    "Call",
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
