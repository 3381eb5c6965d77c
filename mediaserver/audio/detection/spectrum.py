"""Short-time spectra of 8 kHz audio, and three measures of a frame: periodicity, change and concentration.

A spectrum is taken each 20 ms, of the last 32 ms. Its bins are 31.25 Hz apart. Of these, the 106 bins from 187.5
to 3468.75 Hz count, a little more than a telephone carries. They form 14 bands, about as wide as those of the ear.
"""

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.pcm import FRAME_SAMPLES, SAMPLE_RATE, Samples, Signal

Window = NDArray[np.float32]  # samples of a window, or figures of its spectrum
Spectrum = NDArray[np.complex64]

WINDOW = 256  # samples that a spectrum is taken of
OVERLAP = WINDOW - FRAME_SAMPLES  # samples of the frame before that belong to the window
_FIRST, _LAST = 6, 112  # the bins that count: from the first up to, but without, the last
_EDGES = np.array([6, 10, 14, 18, 22, 27, 32, 38, 45, 53, 62, 72, 84, 97]) - _FIRST  # the first bin of each band
BANDS = len(_EDGES)

_SHORTEST, _LONGEST = SAMPLE_RATE // 400, SAMPLE_RATE // 70 + 1  # samples of a pitch period: 400 and 70 Hz
_AROUND = 2  # bins at each side of the strongest one that a tone fills, by the window and by 16 Hz of modulation
_TONE = np.ones(2 * _AROUND + 1, np.float32)
_COUNTED = slice(_AROUND, -_AROUND)  # the bins that count, of those that are computed
_TINY = np.float32(1e-9)

_HANN = (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)).astype(np.float32)
# The spectrum of a window is its product with this matrix, real and imaginary parts side by side. For so few bins
# that takes half the time of a Fourier transform.
_ANGLES = -2 * np.pi / WINDOW * np.outer(np.arange(WINDOW), np.arange(_FIRST - _AROUND, _LAST + _AROUND))
_WAVES = np.ascontiguousarray((_HANN[:, None] * np.exp(1j * _ANGLES)).astype(np.complex64)).view(np.float32)
_NOTHING: Spectrum = np.zeros(_LAST - _FIRST, np.complex64)
_NO_MAGNITUDES: Window = np.zeros(_LAST - _FIRST, np.float32)
_NO_POWER: Window = np.zeros(_LAST - _FIRST + 2 * _AROUND, np.float32)


def _autocorrelation(window: Window) -> Window:
    """The autocorrelation of a window, up to the longest pitch period."""
    correlation: Window = np.correlate(np.concatenate((window, np.zeros(_LONGEST, np.float32))), window)
    return correlation


_OF_WINDOW = _autocorrelation(_HANN)
# A window of a periodic signal is less like itself the later it is compared. The weights take that out (Boersma,
# "Accurate short-term analysis of the fundamental frequency", 1993).
_LAG_WEIGHTS = _OF_WINDOW[0] / _OF_WINDOW[_SHORTEST:]


def band_powers(windows: Window) -> Signal:
    """Powers of the 14 bands of each window of samples: of shape (n, 256), the result of shape (n, 14)."""
    squares = np.square(windows @ _WAVES)
    powers: Signal = np.add.reduceat((squares[:, 0::2] + squares[:, 1::2])[:, _COUNTED], _EDGES, axis=-1)
    return powers


class SpectrumTrack:
    """The spectra of one stream: of the latest frame, and of the two before it."""

    def __init__(self) -> None:
        self._window: Window = np.zeros(WINDOW, np.float32)
        self._latest = self._before = self._earliest = _NOTHING
        self._magnitudes = self._magnitudes_before = self._magnitudes_earliest = _NO_MAGNITUDES
        self._power = _NO_POWER  # of all bins that are computed
        self.bands: Window = np.zeros(BANDS, np.float32)  # powers of the latest frame's bands

    def push(self, samples: Samples) -> None:
        """Take the spectrum of a frame: 160 samples."""
        window = self._shift()
        window[OVERLAP:] = samples
        parts = window @ _WAVES
        spectrum: Spectrum = parts.view(np.complex64)[_COUNTED]
        self._latest, self._magnitudes = spectrum, np.abs(spectrum)
        squares = np.square(parts)
        self._power = power = squares[0::2] + squares[1::2]
        self.bands = np.add.reduceat(power[_COUNTED], _EDGES)

    def push_silence(self) -> None:
        """Take a frame for silence, at little cost."""
        self._shift()[OVERLAP:] = 0
        self._power, self._latest, self._magnitudes = _NO_POWER, _NOTHING, _NO_MAGNITUDES
        self.bands = _NO_POWER[:BANDS]

    def _shift(self) -> Window:
        """Make room for a frame: the latest spectrum becomes the one before. Returns the window to fill."""
        window = self._window
        window[:OVERLAP] = window[FRAME_SAMPLES:]
        self._before, self._earliest = self._latest, self._before
        self._magnitudes_before, self._magnitudes_earliest = self._magnitudes, self._magnitudes_before
        return window

    def periodicity(self) -> float:
        """How alike one pitch period and the next are: 1 for a voiced sound without noise, some 0.2 for noise."""
        if self._power is _NO_POWER:
            return 0.0
        correlation = _autocorrelation(self._window * _HANN)
        return float((correlation[_SHORTEST:] * _LAG_WEIGHTS).max() / max(correlation[0], _TINY))

    def change(self, bands: NDArray[np.bool_]) -> float:
        """How far these bands differ from what the two frames before predict: 0 for steady tones, up to 1.

        The prediction goes on with each bin's magnitude and frequency (Duxbury and others, "Complex domain onset
        detection for musical signals", 2003). Tones, hum and held notes fulfil it. The harmonics of a voice move.
        """
        before, magnitudes = self._before, self._magnitudes_before
        predicted = before * before * self._earliest.conj()
        predicted /= np.maximum(magnitudes * self._magnitudes_earliest, _TINY)
        error = np.add.reduceat(np.abs(self._latest - predicted), _EDGES).dot(bands)
        total = np.add.reduceat(self._magnitudes + magnitudes, _EDGES).dot(bands)
        return float(error / max(total, _TINY))

    def concentration(self) -> float:
        """The share of the power that lies within 62.5 Hz of the strongest frequency: 1 for a single tone."""
        power = self._power
        return float(np.convolve(power, _TONE, "valid").max() / max(power.sum(), _TINY))
