"""Twins of VoIPBIN and Asterisk, for tests: real servers and clients that behave as those do on the wire.

`Twin` is VoIPBIN's `media_stream` endpoint. `AsteriskAudioSocket` is an Asterisk that dials by TCP, and
`ChanWebSocket` one that dials by WebSocket. They share no wire code with the product, so that each side holds the
other to the facts. Comments say of a behaviour whether it was *seen* on a running Asterisk, was *read* in the
platform's code, or is a *guess*.
"""

from tests.twin.audiosocket_tcp import AsteriskAudioSocket
from tests.twin.captured import Captured, captured, captured_speech
from tests.twin.chan_websocket import ChanWebSocket, RefusedError
from tests.twin.codecs import coded, decode, encode
from tests.twin.far_end import SILENCE, Pressed, Utterance
from tests.twin.faults import Fate, Faults, oddities, seeded_fates
from tests.twin.resources import Call, Conference, Participant
from tests.twin.schedule import PTIME
from tests.twin.stream import TwinStream
from tests.twin.twin import Asked, Twin

__all__ = [
    "PTIME",
    "SILENCE",
    "Asked",
    "AsteriskAudioSocket",
    "Call",
    "Captured",
    "ChanWebSocket",
    "Conference",
    "Fate",
    "Faults",
    "Participant",
    "Pressed",
    "RefusedError",
    "Twin",
    "TwinStream",
    "Utterance",
    "captured",
    "captured_speech",
    "coded",
    "decode",
    "encode",
    "oddities",
    "seeded_fates",
]
