"""Handlers: what happens on a call. Each is a module or a package; `table` lists them by name.

A handler of your own needs no imports but from this package. The smallest handler, in `greeting.py`:

    from mediaserver.handlers import Call, Handler


    class Greeting(Handler):
        prompt: str = "welcome"

        async def run(self, call: Call) -> None:
            await call.play(self.prompt)

A path of the configuration names the class: `handler = "greeting:Greeting"`. Its fields are the path's settings.

Handlers know `Call`, and neither sockets nor HTTP.
"""

from mediaserver.call import BargeIn, Call, CollectedDigits, Recording, Stream, Utterance
from mediaserver.errors import EngineError, PeerError, PromptError
from mediaserver.handlers.base import Ending, Handler
from mediaserver.playout.sources.playlist import Playlist
from mediaserver.playout.sources.source import Clip, PlaybackResult, Source, silence
from mediaserver.wire.events import Audio, Digit, Event

__all__ = [
    "Audio",
    "BargeIn",
    "Call",
    "Clip",
    "CollectedDigits",
    "Digit",
    "Ending",
    "EngineError",
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
