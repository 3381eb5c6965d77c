"""Brings recorded sound to a level, and removes its DC offset, without clipping a sample of it."""

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.level.levels import CLIPPED, amplitude_dbfs, peak
from mediaserver.audio.pcm import FULL_SCALE, SAMPLE_RATE, Samples

OFFSET_THRESHOLD = 0.01  # share of full scale up to which a DC offset is kept: -40 dB, the least that clicks
PEAK_LIMIT = CLIPPED - 1  # the highest magnitude that amplified samples get: neither 16 bits nor G.711 clip it
SHORTEST = SAMPLE_RATE // 10  # the fewest samples whose mean can show a DC offset: 100 ms
_BLOCK = 1 << 20  # number of samples that are computed together


def steady_offset(samples: Samples) -> int:
    """The DC offset of 16-bit samples, shape (n,), to be subtracted from each; 0 where there is none to remove.

    An offset counts where the mean is beyond `OFFSET_THRESHOLD`, and where the means of the sound's four quarters
    are near it: a fault of a sound card lasts all along. Samples that all have one value, or last for less than
    100 ms, have no offset to remove.
    """
    if len(samples) < SHORTEST or samples.min() == samples.max():
        return 0
    mean = float(samples.mean())
    if abs(mean) <= OFFSET_THRESHOLD * FULL_SCALE:
        return 0
    quarters = np.array([quarter.mean() for quarter in np.array_split(samples, 4)])
    return round(mean) if np.all(np.abs(quarters - mean) <= abs(mean) / 2) else 0


def remove_offset(samples: Samples, offset: int) -> Samples:
    """The samples minus `offset`. If a result does not fit into 16 bits, all are made softer by one factor."""
    shifted = samples.astype(np.int32) - offset
    highest = peak(shifted)
    return shifted.astype(np.int16) if highest < FULL_SCALE else _scale(shifted, PEAK_LIMIT / highest)


def headroom_db(samples: Samples) -> float:
    """The gain in dB that brings the highest magnitude of samples to `PEAK_LIMIT`; negative if they exceed it."""
    return amplitude_dbfs(PEAK_LIMIT / FULL_SCALE) - amplitude_dbfs(peak(samples) / FULL_SCALE)


def amplify(samples: Samples, gain: float) -> Samples:
    """The samples amplified by `gain` dB, each rounded. A sample that would not fit into 16 bits is clipped."""
    return _scale(samples, 10 ** (gain / 20))


def _scale(samples: NDArray[np.signedinteger], factor: float) -> Samples:
    scaled = np.empty(len(samples), dtype=np.int16)
    for at in range(0, len(samples), _BLOCK):
        block = samples[at : at + _BLOCK] * factor
        scaled[at : at + _BLOCK] = np.clip(np.rint(block, out=block), -32768, 32767)
    return scaled
