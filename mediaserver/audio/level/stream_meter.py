"""Meters of streams: the energy, the peak and the clipped samples of all that each of them has received.

A meter is a row of a table, so that one operation measures the frames of many streams.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mediaserver.audio.detection.state_table import StateTable
from mediaserver.audio.level import levels
from mediaserver.audio.level.levels import CLIPPED
from mediaserver.audio.pcm import FRAME_SAMPLES, Samples, Signal

NEVER = np.iinfo(np.int64).max  # a number of samples that no stream reaches

_STATES = StateTable(
    [
        ("samples", np.int64, ()),  # number of samples received so far
        ("due", np.int64, ()),  # the number of samples with which the meter is due
        ("energy", np.float64, ()),  # the sum of the squares of the samples since the last reading
        ("peak", np.int32, ()),  # the highest magnitude among them
        ("clipped", np.int64, ()),  # number of those that are clipped
    ]
)


class Reading(NamedTuple):
    """What a meter has measured: the sum of all samples' squares, their peak, and how many of them are clipped."""

    energy: float
    peak: int
    clipped: int


class StreamMeter:
    """Measures the samples of one stream, 16-bit at 8 kHz, as they arrive.

    The meter is due from the number of samples on that `set_due` was last called with, and before the first call.
    """

    __slots__ = ("index",)

    def __init__(self) -> None:
        self.index = _STATES.add()  # its row

    def __del__(self) -> None:
        _STATES.remove(self.index)

    @property
    def samples(self) -> int:
        """Number of samples received so far."""
        return int(_STATES.columns["samples"][self.index])

    def set_due(self, samples: int) -> None:
        """Be due from this number of received samples on; NEVER for not at all."""
        _STATES.columns["due"][self.index] = samples

    def feed(self, samples: Samples) -> None:
        """Measure samples, shape (n,)."""
        states, signal = _STATES.columns, samples.astype(np.float64)
        peak = levels.peak(samples)
        states["samples"][self.index] += len(samples)
        states["energy"][self.index] += np.dot(signal, signal)
        states["peak"][self.index] = max(peak, int(states["peak"][self.index]))
        if peak >= CLIPPED:
            states["clipped"][self.index] += _count_clipped(samples)

    def take(self) -> Reading:
        """What was measured since this was last called."""
        states, n = _STATES.columns, self.index
        reading = Reading(float(states["energy"][n]), int(states["peak"][n]), int(states["clipped"][n]))
        states["energy"][n] = states["peak"][n] = states["clipped"][n] = 0
        return reading


def measure_frames(meters: Sequence[StreamMeter], frames: Samples, energies: Signal) -> list[int]:
    """Give each meter the next frame of its stream; returns the indices of those that are due then.

    `frames` has shape (n, 160), and `energies` the sums of the squares of their samples. No meter may be listed
    twice.
    """
    states, at = _STATES.columns, np.array([meter.index for meter in meters], np.intp)
    samples = states["samples"].take(at)
    samples += FRAME_SAMPLES
    states["samples"][at] = samples
    states["energy"][at] += energies
    peaks = np.abs(frames).view(np.uint16).max(axis=1)  # the magnitude of -32768 is no int16
    states["peak"][at] = np.maximum(states["peak"].take(at), peaks)
    for n in (peaks >= CLIPPED).nonzero()[0].tolist():
        states["clipped"][at[n]] += _count_clipped(frames[n])
    due: list[int] = (samples >= states["due"].take(at)).nonzero()[0].tolist()
    return due


def _count_clipped(samples: Samples) -> int:
    return int(np.count_nonzero((samples >= CLIPPED) | (samples <= -CLIPPED)))
