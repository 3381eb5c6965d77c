"""Comfort noise: white Gaussian noise in the telephone band, as a loop without an audible seam."""

import math

import numpy as np
from numpy import fft, random

from mediaserver.audio.level.levels import rms_of_dbm0
from mediaserver.audio.pcm import SAMPLE_RATE, Samples, quantize

SECONDS = 5  # duration of the noise loop, long enough that its repetition is not audible
_BAND = (200.0, 3400.0)  # the telephone band in Hz


def render(level: float, seed: int = 0) -> Samples:
    """Five seconds of noise at `level` dBm0, shape (40000,); its end continues into its beginning."""
    size = SECONDS * SAMPLE_RATE
    spectrum = fft.rfft(random.default_rng(seed).standard_normal(size))
    hz = fft.rfftfreq(size, 1 / SAMPLE_RATE)
    spectrum[(hz < _BAND[0]) | (hz > _BAND[1])] = 0  # noise shaped in its spectrum is periodic: it has no seam
    noise = fft.irfft(spectrum, size)
    return quantize(noise * (rms_of_dbm0(level) / math.sqrt(float(np.mean(noise**2)))))
