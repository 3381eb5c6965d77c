"""The eight DTMF frequencies in the windows of frames, of many streams together."""

import math

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.pcm import FRAME_SAMPLES, FULL_SCALE, SAMPLE_RATE
from mediaserver.audio.products import Matrix, products
from mediaserver.audio.tones import DTMF

HOP = 40  # samples from one window to the next: 5 ms
# Samples of a window (15 ms): its main lobe is 133 Hz wide to either side; the DTMF groups are 268 Hz apart.
WINDOW = 120
WINDOWS = FRAME_SAMPLES // HOP  # number of windows of a frame, those that end in it
TAIL = WINDOW - HOP  # number of samples by which a frame's first windows reach back into the previous frame
SPAN = TAIL + FRAME_SAMPLES  # number of samples in a span, which is what all windows of one frame cover

HZ = sorted({low for low, _ in DTMF.values()}) + sorted({high for _, high in DTMF.values()})
RADIANS = [2 * math.pi * hz / SAMPLE_RATE for hz in HZ]  # phase advance per sample of each DTMF frequency

_time = np.arange(WINDOW) - (WINDOW - 1) / 2  # phases refer to the middle of a window
_hann = 0.5 + 0.5 * np.cos(2 * np.pi * _time / WINDOW)
_hann *= 2 / _hann.sum()  # scales the window, so that a sine of peak A has the magnitude A
_SQUARES = float(np.square(_hann).sum())
# DTMF sines in a Hann window. The real and the imaginary part of each are side by side, as in complex numbers.
_sines = _hann[:, None] * np.exp(-1j * np.outer(_time, RADIANS)) / FULL_SCALE
_WAVES = _sines.astype(np.complex64).view(np.float32)
# The energy of each window is the product of a span's squares with this matrix. A window that has only a sine of
# peak A has the energy A².
_ENERGY = np.zeros((SPAN, WINDOWS), np.float32)
for _n in range(WINDOWS):
    _ENERGY[_n * HOP : _n * HOP + WINDOW, _n] = np.square(_hann / FULL_SCALE) * 2 / _SQUARES


def least_energy(power: float) -> float:
    """The least sum of a span's squares with which a tone in one of its windows can have a power.

    The limit is that of the Cauchy-Schwarz inequality. The power of a sine of peak A is A², 1.0 is full scale.
    """
    return power / _SQUARES * FULL_SCALE**2


class DtmfSpectra:
    """The spectra of the windows of n frames at the eight DTMF frequencies; `spans` has shape (n, 240), float32.

    `tones` are the complex amplitudes of the frequencies in each window, and `powers` their powers, both of shape
    (4, n, 8). `totals`, each window's power at all frequencies, has shape (4, n). `shown`, of the same shape, says
    which windows show two DTMF tones: each has a power of at least `least`, and together they have at least the
    share `purity` of the window's power. `with_tones` says which frames have such a window.
    """

    def __init__(self, spans: Matrix, purity: float, least: float) -> None:
        count = len(spans)
        sample, span = spans.itemsize, spans.strides[0]
        # The windows overlap, so most samples are twice or thrice in the array of all windows.
        windows = np.ndarray((WINDOWS, count, WINDOW), np.float32, spans, strides=(HOP * sample, span, sample))
        parts = products(windows, _WAVES)
        self.tones = parts.view(np.complex64)
        self.totals = products(np.square(spans), _ENERGY).T
        squares = np.square(parts).reshape(-1, 2)
        powers = squares[:, 0] + squares[:, 1]
        self.powers: Matrix = powers.reshape(WINDOWS, count, len(HZ))
        # Numpy takes thrice as long for the maximum along an axis of four as for maxima of whole columns.
        of = powers.reshape(-1, len(HZ)).T
        low = np.maximum(np.maximum(of[0], of[1]), np.maximum(of[2], of[3])).reshape(WINDOWS, count)
        high = np.maximum(np.maximum(of[4], of[5]), np.maximum(of[6], of[7])).reshape(WINDOWS, count)
        self.shown: NDArray[np.bool_] = low + high >= purity * self.totals
        self.shown &= low >= least
        self.shown &= high >= least
        self.with_tones: NDArray[np.bool_] = np.logical_or.reduce(self.shown)
