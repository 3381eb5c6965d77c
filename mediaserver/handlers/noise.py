"""`noise`: comfort noise, so that a quiet line does not sound dead."""

import random
from functools import lru_cache

from pydantic import Field

from mediaserver.audio import noise
from mediaserver.audio.pcm import to_bytes
from mediaserver.call import Session
from mediaserver.handlers.base import Handler
from mediaserver.playout.sources.source import Clip, Playlist, Repeated


@lru_cache(maxsize=16)
def _clip(level: float) -> Clip:
    return Clip(to_bytes(noise.render(level)))


class Noise(Handler):
    """Noise in the telephone band until the peer hangs up; each caller joins it somewhere else."""

    level: float = Field(-50.0, ge=-90, le=-10, description="dBm0")

    async def run(self, session: Session) -> None:
        """Play for ever."""
        clip = _clip(self.level)
        await session.play(Playlist(Repeated([clip], None), start=random.randrange(noise.SECONDS * 50)))
