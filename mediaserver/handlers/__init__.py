"""What happens on a call: one module a handler.

Who writes a handler of their own needs what this package names, and no more.
"""

from mediaserver.call import BargeIn, Call, CollectedDigits, Recording, Stream, Utterance
from mediaserver.errors import PeerError, PromptError
from mediaserver.handlers.base import Ending, Handler
from mediaserver.playout.sources.source import Clip, PlaybackResult, Playlist, Source, silence
from mediaserver.wire.events import Audio, Digit, Event

__all__ = [
    "Audio",
    "BargeIn",
    "Call",
    "Clip",
    "CollectedDigits",
    "Digit",
    "Ending",
    "Event",
    "Handler",
    "PeerError",
    "PlaybackResult",
    "Playlist",
    "PromptError",
    "Recording",
    "Source",
    "Stream",
    "Utterance",
    "silence",
]
