"""`noise`: comfort noise, so that a quiet line does not sound dead; and `silence`: nothing to hear, on time."""

import random
from functools import lru_cache

from pydantic import Field

from mediaserver.audio import noise
from mediaserver.audio.pcm import to_bytes
from mediaserver.call import Call
from mediaserver.handlers.base import Handler
from mediaserver.playout.sources.source import Clip, Playlist, Repeated


@lru_cache(maxsize=16)
def _clip(level: float) -> Clip:
    return Clip(to_bytes(noise.render(level)))


class Noise(Handler):
    """Noise in the telephone band until the peer hangs up; each caller joins it somewhere else."""

    level: float = Field(-50.0, ge=-90, le=-10, description="dBm0")

    async def run(self, call: Call) -> None:
        """Play for ever."""
        clip = _clip(self.level)
        await call.play(Playlist(Repeated([clip], None), start=random.randrange(noise.SECONDS * 50)))


class Silence(Handler):
    """Digital silence until the peer hangs up."""

    async def run(self, call: Call) -> None:
        """Wait; a stream without a source is silent."""
        await call.silence()
