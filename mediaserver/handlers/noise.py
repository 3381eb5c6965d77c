"""The `noise` handler, which plays comfort noise so that a line does not sound dead; the `silence` handler."""

import random
from functools import lru_cache

from pydantic import Field

from mediaserver.audio import noise
from mediaserver.audio.pcm import to_bytes
from mediaserver.call import Call
from mediaserver.config.speech_settings import SpeechSettings
from mediaserver.handlers.base import Handler
from mediaserver.playout.sources.playlist import Playlist, Repeated
from mediaserver.playout.sources.source import Clip


@lru_cache(maxsize=16)
def _clip(level: float) -> Clip:
    return Clip(to_bytes(noise.render(level)), name="noise")


class Noise(Handler):
    """Plays telephone-band comfort noise until the peer hangs up. Each call starts at a random frame of it."""

    level: float = Field(-50.0, ge=-90, le=-10, description="The level in dBm0.")

    def prepare(self, speech: SpeechSettings) -> None:
        """Render the noise, which takes some milliseconds."""
        _clip(self.level)

    async def run(self, call: Call) -> None:
        """Play the noise until the peer hangs up."""
        clip = _clip(self.level)
        await call.play(Playlist(Repeated([clip], None), start=random.randrange(noise.SECONDS * 50)))


class Silence(Handler):
    """Sends digital silence until the peer hangs up."""

    async def run(self, call: Call) -> None:
        """Wait until the stream ends. A stream that plays no source sends silence."""
        await call.silence()
