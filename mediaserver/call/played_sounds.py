"""Remembers what was played on a stream, for the operator who has to explain the call."""

import asyncio
import time
from typing import NamedTuple

from mediaserver.call.stream import Clock
from mediaserver.playout.sources.source import PlaybackResult, Source

_MOST = 100  # the number of latest sounds of a stream that are remembered


class PlayedSound(NamedTuple):
    """A sound that has been played, or was stopped. Times are in seconds since the stream's beginning."""

    name: str  # the name of the prompt, or of several; `text`, `tone`, `live`, `sound`
    ended_s: float
    seconds: float  # how much of it was played; if its handler stopped it, this includes pauses amid it
    complete: bool


class PlayedSounds:
    """The latest sounds of one stream, in the order of their ends. `clock` is monotonic, in seconds."""

    __slots__ = ("_began", "_clock", "latest")

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock, self._began = clock, clock()
        self.latest: list[PlayedSound] = []  # a deque would take half a kilobyte of each stream

    @property
    def now(self) -> float:
        """Seconds since the stream's beginning."""
        return self._clock() - self._began

    def add(self, source: Source, queued: float, done: asyncio.Future[PlaybackResult]) -> None:
        """Remember a source that was `queued` at that time, and has ended; `done` is the pacer's future for it."""
        now, complete = self.now, False
        if not done.done() or done.cancelled():  # its handler has stopped it: the pacer cannot tell how much
            began = max(queued, self.latest[-1].ended_s) if self.latest else queued
            seconds = now - began
        elif done.exception() is not None:
            seconds = 0.0
        else:
            seconds, complete = done.result().seconds, done.result().complete
        if name := source.title:
            self.latest.append(PlayedSound(name, round(now, 2), round(seconds, 2), complete))
            del self.latest[:-_MOST]
