"""One call: `Call` is the handler's interface to the call, `Session` is the lifecycle of the call's stream.

The package also has the receiver of inbound media, the keypad (DTMF), endpointing and recording. It must not know
sockets or HTTP: the servers and clients that own a connection pass the connection's messages to the session.
"""

from mediaserver.call.call import Call
from mediaserver.call.event_sink import EventSink
from mediaserver.call.inbound.barge_in import BargeIn
from mediaserver.call.inbound.endpointing import Endpointer, Utterance
from mediaserver.call.inbound.event_queue import MAX_EVENTS
from mediaserver.call.inbound.keypad import CollectedDigits
from mediaserver.call.inbound.monitor import InboundProblem
from mediaserver.call.inbound.tone_listener import ToneListener
from mediaserver.call.recording.disk import DiskExecutor
from mediaserver.call.recording.file_modes import DEFAULT_MODES, FileModes, create_file, make_folders
from mediaserver.call.recording.states import Recording
from mediaserver.call.recording.wav_writer import ensure_within
from mediaserver.call.session import Session
from mediaserver.call.stream import Stream
from mediaserver.call.summary import wire_facts
from mediaserver.transport.closing import CloseCode, End, EndReason

__all__ = [
    "DEFAULT_MODES",
    "MAX_EVENTS",
    "BargeIn",
    "Call",
    "CloseCode",
    "CollectedDigits",
    "DiskExecutor",
    "End",
    "EndReason",
    "Endpointer",
    "EventSink",
    "FileModes",
    "InboundProblem",
    "Recording",
    "Session",
    "Stream",
    "ToneListener",
    "Utterance",
    "create_file",
    "ensure_within",
    "make_folders",
    "wire_facts",
]
