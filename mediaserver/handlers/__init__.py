"""Handlers: each decides what happens on a call, such as playing a prompt.

A handler is one module or package in this folder. The module `table` lists all handlers by their names.

A handler that you write yourself imports from this package only. The smallest handler, in `greeting.py`:

    from mediaserver.handlers import Call, Handler


    class Greeting(Handler):
        prompt: str = "welcome"

        async def run(self, call: Call) -> None:
            await call.play(self.prompt)

A URL path in the configuration names the class: `handler = "greeting:Greeting"`. The fields of the class are the
settings of the URL path.

Handlers use the interface `Call`. They must not know sockets or HTTP.
"""

from mediaserver.call import BargeIn, Call, CollectedDigits, Recording, Stream, Utterance
from mediaserver.errors import CallControlError, EngineError, PeerError, PromptError
from mediaserver.handlers.base import Ending, Handler, PlaybackSettings
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.playout.sources.source import Clip, PlaybackResult, Source, silence
from mediaserver.wire.events import Audio, Digit, Event, Tone

__all__ = [
    "Audio",
    "BargeIn",
    "Call",
    "CallControlError",
    "Clip",
    "CollectedDigits",
    "Digit",
    "Ending",
    "EngineError",
    "Event",
    "Handler",
    "PeerError",
    "PlaybackResult",
    "PlaybackSettings",
    "Playlist",
    "PromptError",
    "Recording",
    "Source",
    "Stream",
    "Tone",
    "Utterance",
    "silence",
]
