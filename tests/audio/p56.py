"""ITU-T P.56 (12/2011), method B, as its clause 7 says it: sample by sample, for any sampling rate.

It shares nothing with the product's meter, so that it can judge what the product has levelled.
"""

import itertools
import math
from collections.abc import Iterable

import numpy as np


def active_level(samples: Iterable[float], rate: int = 8000, full_scale: float = 32768.0) -> float:
    """The active speech level in dB relative to the overload point (dBov); -100 where there is none."""
    g = math.exp(-1 / (rate * 0.03))
    hangover = round(0.2 * rate)
    thresholds = [2.0**power for power in range(-15, 0)]
    counts, hanging = [0] * 15, [hangover] * 15
    p = q = energy = 0.0
    for x in (np.asarray(samples, dtype=float) / full_scale).tolist():
        energy += x * x
        p = g * p + (1 - g) * abs(x)
        q = g * q + (1 - g) * p
        for j in range(15):
            if q >= thresholds[j]:
                counts[j] += 1
                hanging[j] = 0
            elif hanging[j] < hangover:
                counts[j] += 1
                hanging[j] += 1
    points = [
        (10 * math.log10(energy / count), 20 * math.log10(threshold))
        for count, threshold in zip(counts, thresholds, strict=True)
        if count
    ]
    for (below, low), (above, high) in itertools.pairwise(points):
        if below - low >= 15.9 > above - high:
            return _bisect(below, low, above, high)
    return -100.0


def _bisect(below: float, low: float, above: float, high: float) -> float:
    """The level at which it is 15.9 dB above its threshold, on a line between two measured points."""
    while high - low > 0.001:
        level, threshold = (below + above) / 2, (low + high) / 2
        if level - threshold > 15.9:
            below, low = level, threshold
        else:
            above, high = level, threshold
    return (below + above) / 2
