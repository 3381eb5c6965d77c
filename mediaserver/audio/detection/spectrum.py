"""Short-time spectra of 8 kHz audio, and three measures of a frame: periodicity, change and concentration.

A spectrum is taken each 20 ms, of the last 32 ms. Its bins are 31.25 Hz apart. Of these, the 106 bins from 187.5
to 3468.75 Hz count, a little more than a telephone carries. They form 14 bands, about as wide as those of the ear.
"""

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.pcm import FRAME_SAMPLES, Samples, Signal

Spectrum = NDArray[np.complex128]

WINDOW = 256  # samples that a spectrum is taken of
OVERLAP = WINDOW - FRAME_SAMPLES  # samples of the frame before that belong to the window
_FIRST, _LAST = 6, 112  # the bins that count: from the first up to, but without, the last
_EDGES = np.array([6, 10, 14, 18, 22, 27, 32, 38, 45, 53, 62, 72, 84, 97]) - _FIRST  # the first bin of each band
BANDS = len(_EDGES)

_PADDED = 2 * WINDOW  # with as many zeros behind the window, the autocorrelation does not wrap around
_HANN = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)
_SHORTEST, _LONGEST = 20, 115  # samples of a pitch period: 400 and 70 Hz
_AROUND = 2  # bins at each side of the strongest one that a tone fills, by the window and by 16 Hz of modulation
_TINY = 1e-9
_NOTHING: Spectrum = np.zeros(_LAST - _FIRST, np.complex128)
_NO_POWER = np.zeros(WINDOW + 1)


def _autocorrelation(power: Signal) -> Signal:
    """The autocorrelation of a window, up to the longest pitch period, by its padded power spectrum (257,)."""
    correlation: Signal = np.fft.irfft(power)[: _LONGEST + 1]
    return correlation


_OF_WINDOW = _autocorrelation(np.abs(np.fft.rfft(_HANN, _PADDED)) ** 2)
# A window of a periodic signal is less like itself the later it is compared. The weights take that out (Boersma,
# "Accurate short-term analysis of the fundamental frequency", 1993).
_LAG_WEIGHTS = _OF_WINDOW[0] / _OF_WINDOW[_SHORTEST:]


def band_powers(windows: Signal) -> Signal:
    """Powers of the 14 bands of each window of samples: of shape (n, 256), the result of shape (n, 14)."""
    spectra = np.fft.rfft(windows * _HANN, axis=-1)[:, _FIRST:_LAST]
    powers: Signal = np.add.reduceat(spectra.real**2 + spectra.imag**2, _EDGES, axis=-1)
    return powers


class SpectrumTrack:
    """The spectra of one stream: of the latest frame, and of the two before it."""

    def __init__(self) -> None:
        self._window = np.zeros(WINDOW)
        self._latest = self._before = self._earliest = _NOTHING
        self._padded_power = _NO_POWER
        self.bands: Signal = np.zeros(BANDS)  # powers of the latest frame's bands

    def push(self, samples: Samples) -> None:
        """Take the spectrum of a frame: 160 samples."""
        window = self._shift()
        window[OVERLAP:] = samples
        padded = np.fft.rfft(window * _HANN, _PADDED)
        self._padded_power = padded.real**2 + padded.imag**2
        self._latest = padded[2 * _FIRST : 2 * _LAST : 2]
        self.bands = np.add.reduceat(self._padded_power[2 * _FIRST : 2 * _LAST : 2], _EDGES)

    def push_silence(self) -> None:
        """Take a frame for silence, at little cost."""
        self._shift()[OVERLAP:] = 0
        self._padded_power, self._latest, self.bands = _NO_POWER, _NOTHING, _NO_POWER[:BANDS]

    def _shift(self) -> Signal:
        """Make room for a frame: the latest spectrum becomes the one before. Returns the window to fill."""
        window = self._window
        window[:OVERLAP] = window[FRAME_SAMPLES:]
        self._before, self._earliest = self._latest, self._before
        return window

    def periodicity(self) -> float:
        """How alike one pitch period and the next are: 1 for a voiced sound without noise, some 0.2 for noise."""
        correlation = _autocorrelation(self._padded_power)
        return float((correlation[_SHORTEST:] * _LAG_WEIGHTS).max() / max(correlation[0], _TINY))

    def change(self, bands: NDArray[np.bool_]) -> float:
        """How far these bands differ from what the two frames before predict: 0 for steady tones, up to 1.

        The prediction goes on with each bin's magnitude and frequency (Duxbury and others, "Complex domain onset
        detection for musical signals", 2003). Tones, hum and held notes fulfil it. The harmonics of a voice move.
        """
        before, earliest = self._before, self._earliest
        magnitudes = np.abs(before)
        predicted = before * before * earliest.conj() / np.maximum(magnitudes * np.abs(earliest), _TINY)
        error = np.add.reduceat(np.abs(self._latest - predicted), _EDGES)[bands].sum()
        total = np.add.reduceat(np.abs(self._latest) + magnitudes, _EDGES)[bands].sum()
        return float(error / max(total, _TINY))

    def concentration(self) -> float:
        """The share of the power that lies within 62.5 Hz of the strongest frequency: 1 for a single tone."""
        power = self._padded_power[2 * (_FIRST - _AROUND) : 2 * (_LAST + _AROUND) : 2]
        sums = np.cumsum(power)
        width = 2 * _AROUND + 1
        return float((sums[width:] - sums[:-width]).max() / max(sums[-1], _TINY))
