"""What a picture shows of a call. Times are in seconds from its beginning."""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from mediaserver.audio.pcm import FRAME_SAMPLES, PTIME, Samples


class Span(NamedTuple):
    """Something that lasts, such as a prompt."""

    label: str
    begin: float
    end: float


class Point(NamedTuple):
    """Something that happens."""

    label: str
    at: float


@dataclass
class Track:
    """Sound in one direction, in frames of 20 ms from the beginning on, and what is to be said of it."""

    title: str
    sound: Samples
    spans: list[Span] = field(default_factory=list)

    def runs(self) -> list[tuple[float, float]]:
        """When there is sound in it: from when to when. Gaps shorter than 0.3 s are sound."""
        loud = np.flatnonzero(np.any(self.sound.reshape(-1, FRAME_SAMPLES), axis=1))
        if not len(loud):
            return []
        parts = np.split(loud, np.flatnonzero(np.diff(loud) > 0.3 / PTIME) + 1)
        return [(float(part[0] * PTIME), float((part[-1] + 1) * PTIME)) for part in parts]


@dataclass
class Timeline:
    """A call."""

    title: str
    sent: Track
    received: Track
    told: str  # what the points are, such as "events"
    points: list[Point] = field(default_factory=list)
    seconds: float = 0.0
