"""The data of a picture of a call. Times are in seconds from the call's beginning."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mediaserver.audio.pcm import FRAME_SAMPLES, PTIME, Samples


class Span(NamedTuple):
    """A labelled span of time, such as the playing of a prompt."""

    label: str
    begin: float
    end: float


class Point(NamedTuple):
    """A labelled moment, such as an event."""

    label: str
    at: float


@dataclass
class Track:
    """The audio of a call in one direction, in frames of 20 ms from the call's beginning on, and its labels."""

    title: str
    sound: Samples
    spans: list[Span] = field(default_factory=list)

    def runs(self) -> list[tuple[float, float]]:
        """The begin and end, in seconds, of each run of sound. Gaps shorter than 0.3 s do not end a run."""
        loud = np.flatnonzero(np.any(self.sound.reshape(-1, FRAME_SAMPLES), axis=1))
        if not len(loud):
            return []
        parts = np.split(loud, np.flatnonzero(np.diff(loud) > 0.3 / PTIME) + 1)
        return [(float(part[0] * PTIME), float((part[-1] + 1) * PTIME)) for part in parts]


@dataclass
class Timeline:
    """The timeline of a call: the audio in both directions, and the points in time."""

    title: str
    sent: Track
    received: Track
    told: str  # the name of the points, such as "events"
    points: list[Point] = field(default_factory=list)
    seconds: float = 0.0
