"""Fillers: sounds that a caller hears while the model thinks for long, such as typing, or the words "one moment".

Fillers are no part of an answer: the model's history, the transcript and the events do not contain them.
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
    """The fillers of one conversation, which play in turn, each after `after` seconds without any sound."""

    def __init__(self, call: Call, sounds: Sequence[Segment | SpokenText], after: float) -> None:
        self._call, self._sounds, self._after = call, sounds, after
        self._next = 0  # the number of fillers that have begun to play in this conversation

    def fill_pause(self) -> "FilledPause":
        """Begin the pause before an answer. Fillers play until `FilledPause.give_way` or `stop` ends it."""
        return FilledPause(self)

    async def play(self) -> None:
        """Play one filler after another until this task is cancelled, which fades the filler out in one frame."""
        while True:
            await asyncio.sleep(self._after)
            self._next += 1
            try:
                await self._call.play(self._sounds[(self._next - 1) % len(self._sounds)])
            except MediaServerError as error:
                log.warning("filler failed", stream=self._call.stream.id, why=str(error))


class FilledPause:
    """The pause before one answer, in which fillers are heard until the answer's first sound is there."""

    def __init__(self, fillers: Fillers) -> None:
        self._filling = asyncio.ensure_future(fillers.play())
        self._first_audio: asyncio.Task[None] | None = None

    async def wait_for(self, spoken: SpokenText) -> None:
        """Wait until the answer may be played, because its first audio is synthesised.

        `spoken` is a sentence of the answer. Several sentences may wait at once; the waits end in the order in
        which they began.
        """
        if self._first_audio is None:
            self._first_audio = asyncio.ensure_future(spoken.wait_begun())
        await asyncio.wait([self._first_audio])

    def give_way(self) -> None:
        """Play no more fillers: what is queued behind the filler follows it without a frame of silence."""
        self._filling.cancel()

    def stop(self) -> None:
        """Play no more fillers, and end all waits in `wait_for`."""
        self._filling.cancel()
        if self._first_audio is not None:
            self._first_audio.cancel()

    async def close(self) -> None:
        """Stop the fillers, and wait until the pause's tasks have ended."""
        self.stop()
        await asyncio.wait([self._filling] if self._first_audio is None else [self._filling, self._first_audio])
        self._first_audio = None  # ends the cycle of references with the cancelled task, so that both are freed
