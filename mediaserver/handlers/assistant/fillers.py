"""Fillers: what a caller hears while the model thinks for long, such as the sound of typing, or "one moment".

A filler is no part of the answer. The model is not told of it, and it is in no transcript and no event.
"""

import asyncio
from collections.abc import Sequence

import structlog

from mediaserver.call import Call
from mediaserver.errors import MediaServerError
from mediaserver.playout.sources.source import Segment
from mediaserver.speech.tts.spoken_text import SpokenText

log = structlog.get_logger()


class Fillers:
    """The fillers of one conversation, which are heard in turn, each after `after` seconds without any sound."""

    def __init__(self, call: Call, sounds: Sequence[Segment | SpokenText], after: float) -> None:
        self._call, self._sounds, self._after = call, sounds, after
        self._next = 0  # number of fillers that have been begun

    def fill_pause(self) -> "FilledPause":
        """Begin to wait for an answer."""
        return FilledPause(self)

    async def play(self) -> None:
        """Play one filler after another, until cancelled. Then the filler fades out in the next frame."""
        while True:
            await asyncio.sleep(self._after)
            self._next += 1
            try:
                await self._call.play(self._sounds[(self._next - 1) % len(self._sounds)])
            except MediaServerError as error:
                log.warning("a filler cannot be played", stream=self._call.stream.id, why=str(error))


class FilledPause:
    """The pause before one answer, in which fillers are heard until the answer's first sound is there."""

    def __init__(self, fillers: Fillers) -> None:
        self._filling = asyncio.ensure_future(fillers.play())
        self._ending: asyncio.Task[None] | None = None

    async def give_way_to(self, spoken: SpokenText) -> None:
        """Wait until the answer may be played: its first sound is there, and the filler is stopped.

        `spoken` is a sentence of the answer. Sentences may be played in the order in which they called this
        method.
        """
        if self._ending is None:
            self._ending = asyncio.ensure_future(self._end_with(spoken))
        await asyncio.wait([self._ending])

    def stop(self) -> None:
        """Play no more fillers, and let the sentences of the answer go on at once."""
        self._filling.cancel()
        if self._ending is not None:
            self._ending.cancel()

    async def close(self) -> None:
        """Stop, and wait until nothing of the pause is left."""
        self.stop()
        await asyncio.wait([self._filling] if self._ending is None else [self._filling, self._ending])
        self._ending = None  # a cancelled task refers to its coroutine, and so to this object

    async def _end_with(self, spoken: SpokenText) -> None:
        await spoken.wait_begun()
        self._filling.cancel()
        await asyncio.wait([self._filling])
