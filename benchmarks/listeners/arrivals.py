"""The arrival times of all frames, kept in arrays that are allocated beforehand, and the pacing that they show."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.pcm import PTIME

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Arrivals:
    """For every frame, in order of time: the number of its stream, and its arrival in monotonic seconds."""

    def __init__(self, room: int) -> None:
        self._streams: NDArray[np.int32] = np.zeros(room, np.int32)
        self._times: Floats = np.zeros(room, np.float64)
        self.count = 0

    def add(self, streams: Sequence[int], at: float) -> None:
        """Add one frame of each of these streams, all of which arrived at the time `at`."""
        end = self.count + len(streams)
        if end > len(self._times):
            self._streams = np.concatenate((self._streams, np.zeros(end, np.int32)))
            self._times = np.concatenate((self._times, np.zeros(end)))
        self._streams[self.count : end] = streams
        self._times[self.count : end] = at
        self.count = end

    def between(self, start: float, end: float) -> tuple[Integers, Floats]:
        """Streams and times of the frames that came from `start` on and before `end`."""
        first, last = np.searchsorted(self._times[: self.count], (start, end))
        return self._streams[first:last].astype(np.int64), self._times[first:last]

    def firsts(self) -> dict[int, float]:
        """The arrival time of the first frame of each stream, by stream."""
        streams, at = np.unique(self._streams[: self.count], return_index=True)
        return dict(zip(streams.tolist(), self._times[at].tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Pacing:
    """How evenly frames arrived."""

    deviations: Floats  # seconds by which the time between two frames of a stream was not a ptime
    lateness: Floats  # seconds by which each frame was behind its stream's own schedule, missing frames included
    due: Floats  # when each frame was due by that schedule, in the order of `lateness`
    drifts: Floats  # parts per million by which each stream was slower than one frame every 20 ms


def measure_pacing(streams: Integers, times: Floats, end: float) -> Pacing:
    """Measure the pacing of frames, given their streams and times in order of time, until the time `end`.

    A stream's schedule is a frame every 20 ms, and begins so that the stream's earliest frame has a lateness of 0.
    A frame that was due before `end` and has not arrived by then is late by the time since it was due.
    """
    order = np.argsort(streams, kind="stable")
    streams, times = streams[order], times[order]
    _, starts, counts = np.unique(streams, return_index=True, return_counts=True)
    number = np.arange(len(times)) - np.repeat(starts, counts)
    offsets = times - number * PTIME
    between = np.abs(np.diff(times) - PTIME)[np.diff(streams) == 0]
    schedules = np.minimum.reduceat(offsets, starts)
    overdue = end - (schedules + counts * PTIME)
    late = np.concatenate((offsets - np.repeat(schedules, counts), overdue[overdue > 0]))
    due = np.concatenate((times, np.full(np.count_nonzero(overdue > 0), end))) - late
    return Pacing(between, late, due, _slopes(number, offsets, starts, counts) / PTIME * 1e6)


def _slopes(number: Integers, offsets: Floats, starts: Integers, counts: Integers) -> Floats:
    """The slope of the straight line through each stream's offsets, in seconds per frame.

    A stream of a single frame has no slope, and is left out.
    """

    def centred(values: Floats) -> Floats:
        return values - np.repeat(np.add.reduceat(values, starts) / counts, counts)

    x, y = centred(number.astype(np.float64)), centred(offsets)
    several = counts > 1
    slopes: Floats = np.add.reduceat(x * y, starts)[several] / np.add.reduceat(x * x, starts)[several]
    return slopes


def percentile(values: Floats, percent: float) -> float:
    """The smallest value that `percent` % of all values do not exceed (nearest rank); NaN for no values."""
    return float(np.percentile(values, percent, method="inverted_cdf")) if len(values) else float("nan")
