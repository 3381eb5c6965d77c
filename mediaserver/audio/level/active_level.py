"""Active speech level by ITU-T P.56 (12/2011), method B: the level of a voice while it speaks, without its pauses.

The level is in dBov (ITU-T G.100.1): decibels below the overload point, which a full-scale square wave has. A
full-scale sine is at -3.01 dBov. This is the scale of the ITU-T tools (G.191, `sv56`), on which voices are usually
levelled to -26. Most audio tools call it dBFS, while `levels` gives dBFS relative to a full-scale sine.
"""

import math

import numpy as np

from mediaserver.audio.level.levels import SILENCE_DB
from mediaserver.audio.pcm import FULL_SCALE, SAMPLE_RATE, Samples, Signal

_TIME_CONSTANT = 0.03  # seconds: the time constant T of P.56, for each of two smoothings in series
_HANGOVER = int(0.2 * SAMPLE_RATE)  # samples for which a sound counts as active after its envelope has fallen
_MARGIN = 15.9  # dB between the active level and the threshold of activity: the margin M of P.56
# Thresholds of the envelope, each twice the one before: from one step of 16 bits to half of full scale.
_THRESHOLDS = FULL_SCALE * 2.0 ** np.arange(-15, 0)
_REACH = int(20 * _TIME_CONSTANT * SAMPLE_RATE)  # samples after which a sample no longer affects the envelope
_FFT = 1 << 15  # number of samples in one Fourier transform
_BLOCK = _FFT - _REACH  # number of samples whose envelope one Fourier transform gives


def active_level(samples: Samples) -> float:
    """The active speech level in dBov of 16-bit samples at 8 kHz without DC, of shape (n,).

    Silence, mere clicks, and sound whose samples hardly differ from 0 have no speech level: returns SILENCE_DB.
    """
    energy, active = _measure_activity(samples)
    heard = np.flatnonzero(active)
    if not len(heard):
        return SILENCE_DB
    level = 10 * np.log10(energy / active[heard] / FULL_SCALE**2)
    excess = level - 20 * np.log10(_THRESHOLDS[heard] / FULL_SCALE) - _MARGIN
    above = np.flatnonzero(excess <= 0)
    if not len(above) or not above[0]:
        return SILENCE_DB
    high = above[0]
    low = high - 1
    share = excess[low] / (excess[low] - excess[high])
    return float(level[low] + share * (level[high] - level[low]))


def _measure_activity(samples: Samples) -> tuple[float, Signal]:
    """The sum of the squared samples, and for each threshold the number of samples that count as active."""
    energy, counters = 0.0, [_ActivityCounter(float(threshold)) for threshold in _THRESHOLDS]
    spectrum = np.fft.rfft(_envelope_response(), _FFT)
    recent = np.zeros(_REACH)  # the magnitudes of the samples before the present block
    for start in range(0, len(samples), _BLOCK):
        block = samples[start : start + _BLOCK].astype(np.float64)
        energy += float(np.dot(block, block))
        magnitudes = np.concatenate((recent, np.abs(block)))
        recent = magnitudes[-_REACH:]
        envelope = np.fft.irfft(np.fft.rfft(magnitudes, _FFT) * spectrum, _FFT)[_REACH : len(magnitudes)]
        lowest, highest = envelope.min(), envelope.max()
        for counter in counters:
            if counter.threshold <= highest:
                counter.feed(envelope if counter.threshold > lowest else None, start, len(block))
    return energy, np.array([counter.finish(len(samples)) for counter in counters])


class _ActivityCounter:
    """Counts the samples that are active by one threshold of the envelope, the hangover after them included."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold
        self._active = 0
        self._last: int | None = None  # the last sample at which the envelope reached the threshold

    def feed(self, envelope: Signal | None, start: int, size: int) -> None:
        """Count the active samples of a block of `size` samples, the first of which is sample `start`.

        `envelope` is None if it is above the threshold in the whole block.
        """
        if envelope is None:
            begins, ends = np.array([start]), np.array([start + size - 1])
        else:
            above = np.concatenate(([False], envelope >= self.threshold, [False]))
            edges = np.flatnonzero(above[1:] != above[:-1])
            begins, ends = edges[::2] + start, edges[1::2] + start - 1
        pauses = begins[1:] - ends[:-1] - 1
        if self._last is not None:
            pauses = np.append(pauses, begins[0] - self._last - 1)
        self._active += int((ends - begins + 1).sum() + np.minimum(pauses, _HANGOVER).sum())
        self._last = int(ends[-1])

    def finish(self, samples: int) -> int:
        """The number of active samples of the whole sound, which is `samples` samples long."""
        return self._active + (min(samples - 1 - self._last, _HANGOVER) if self._last is not None else 0)


def _envelope_response() -> Signal:
    """The impulse response of the recommendation's envelope: two equal exponential averages in series.

    It replaces the recursion p = g·p + (1-g)·|x|, q = g·q + (1-g)·p, which numpy cannot compute fast.
    """
    g, n = math.exp(-1 / (_TIME_CONSTANT * SAMPLE_RATE)), np.arange(_REACH)
    response: Signal = (1 - g) ** 2 * (n + 1) * g**n
    return response
