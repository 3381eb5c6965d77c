"""ITU-T P.56 (12/2011), method B, as its clause 7 says it: sample by sample, for any sampling rate.

It shares nothing with the product's meter, so that it can judge what the product has levelled.
"""

import itertools
import math
from collections.abc import Iterable

import numpy as np


def active_level(samples: Iterable[float], rate: int = 8000, full_scale: float = 32768.0) -> float:
    """The active speech level in dB relative to the overload point (dBov); -100 where there is none."""
    signal = np.asarray(samples, dtype=float) / full_scale
    g = math.exp(-1 / (rate * 0.03))
    p = q = 0.0
    envelope = []
    for magnitude in np.abs(signal).tolist():
        p = g * p + (1 - g) * magnitude
        q = g * q + (1 - g) * p
        envelope.append(q)
    energy = float(np.square(signal).sum())
    thresholds = [2.0**power for power in range(-15, 0)]
    counts = [_active_samples(np.array(envelope), threshold, round(0.2 * rate)) for threshold in thresholds]
    points = [
        (10 * math.log10(energy / count), 20 * math.log10(threshold))
        for count, threshold in zip(counts, thresholds, strict=True)
        if count
    ]
    for (below, low), (above, high) in itertools.pairwise(points):
        if below - low >= 15.9 > above - high:
            return _bisect(below, low, above, high)
    return -100.0


def _active_samples(envelope: np.ndarray, threshold: float, hangover: int) -> int:
    """The samples at or above a threshold, and those at most `hangover` samples after one that is."""
    positions = np.arange(len(envelope))
    latest = np.maximum.accumulate(np.where(envelope >= threshold, positions, -1 - hangover))
    return int((positions - latest <= hangover).sum())


def _bisect(below: float, low: float, above: float, high: float) -> float:
    """The level at which it is 15.9 dB above its threshold, on a line between two measured points."""
    while high - low > 0.001:
        level, threshold = (below + above) / 2, (low + high) / 2
        if level - threshold > 15.9:
            below, low = level, threshold
        else:
            above, high = level, threshold
    return (below + above) / 2
