"""Short-time spectra of 8 kHz audio, and three measures of a frame: pitch, change and concentration.

A spectrum is taken each 20 ms, of the last 32 ms. Its bins are 31.25 Hz apart. Of these, the 106 bins from 187.5
to 3468.75 Hz count, a little more than a telephone carries. They form 14 bands, about as wide as those of the ear.

The functions take one frame, or a frame of each of many streams as the rows of an array. Computing many frames
together takes little longer than computing one.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.pcm import FRAME_SAMPLES, SAMPLE_RATE
from mediaserver.audio.products import products

Window = NDArray[np.floating[Any]]  # the samples of windows, or real numbers computed from them; always float32
Spectrum = NDArray[np.complexfloating[Any, Any]]  # the complex amplitudes of a spectrum's bins; always complex64

WINDOW = 256  # number of samples of which a spectrum is taken: 32 ms
OVERLAP = WINDOW - FRAME_SAMPLES  # number of samples of the previous frame in a frame's window
_FIRST, _LAST = 6, 112  # the range of a spectrum's bins that count: from the first up to, but without, the last
BINS = _LAST - _FIRST
_EDGES = np.array([6, 10, 14, 18, 22, 27, 32, 38, 45, 53, 62, 72, 84, 97]) - _FIRST  # the first bin of each band
BANDS = len(_EDGES)

SHORTEST_PERIOD, LONGEST_PERIOD = SAMPLE_RATE // 400, SAMPLE_RATE // 70 + 1  # of a pitch, in samples: 400, 70 Hz
_CORRELATED = 384  # Fourier transform size for an autocorrelation: at least a window and the longest pitch period
_AROUND = 2  # number of bins to each side of its strongest bin that a tone fills, even with 16 Hz of modulation
_TONE = np.ones(2 * _AROUND + 1, np.float32)
# Of the 110 bins that are computed, the 106 that the measures use. A tone near either end fills the others, too.
COUNTED = slice(_AROUND, _AROUND + BINS)
_TINY = np.float32(1e-9)

_HANN = (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)).astype(np.float32)


def _waves(bins: NDArray[np.integer], size: int) -> tuple[Window, Window]:
    """The matrices by which `_transform` computes these bins of a transform of `size` samples.

    They are cosines and sines over the second half of a Hann window. Time 0 is the middle of the window.
    """
    angles = 2 * np.pi / size * np.outer(np.arange(WINDOW // 2) + 0.5, bins)
    hann = _HANN[WINDOW // 2 :, None]
    return (hann * np.cos(angles)).astype(np.float32), (hann * np.sin(angles)).astype(np.float32)


_COMPUTED = _waves(np.arange(_FIRST - _AROUND, _LAST + _AROUND), WINDOW)
_EVERY = _waves(np.arange(_CORRELATED // 2 + 1), _CORRELATED)
# The sum of powers over each band is the product of the powers with this matrix of 1 and 0.
_OF_BANDS = (np.searchsorted(_EDGES, np.arange(BINS), "right")[:, None] - 1 == np.arange(BANDS)).astype(np.float32)


def _autocorrelation(window: Window) -> Window:
    """The autocorrelation of one window, up to the longest pitch period."""
    correlation: Window = np.correlate(np.concatenate((window, np.zeros(LONGEST_PERIOD, np.float32))), window)
    return correlation


_OF_WINDOW = _autocorrelation(_HANN)
# The autocorrelation of a windowed periodic signal falls as the lag grows. The weights make up for that (Boersma,
# "Accurate short-term analysis of the fundamental frequency", 1993).
_LAG_WEIGHTS = _OF_WINDOW[0] / _OF_WINDOW[SHORTEST_PERIOD:]
# The autocorrelation at lag 0 and at each pitch period is the product of a power spectrum with this matrix.
_LAGS = np.concatenate(([0], np.arange(SHORTEST_PERIOD, LONGEST_PERIOD + 1)))
_TO_LAGS = (
    np.cos(2 * np.pi / _CORRELATED * np.outer(np.arange(_CORRELATED // 2 + 1), _LAGS)) / _CORRELATED
).astype(np.float32)
_TO_LAGS[1:-1] *= 2  # negative frequencies have the same powers as positive ones


def _transform(windows: Window, waves: tuple[Window, Window]) -> tuple[Window, Window]:
    """The real and the imaginary parts of the spectrum of windows of 256 samples, at the bins of `waves`.

    Around the middle of the window, cosines are even and sines are odd. So the two halves of the window are added,
    or subtracted, before they are multiplied. Matrix products of so few samples take less time than `np.fft`.
    """
    before, after = windows[..., WINDOW // 2 - 1 :: -1], windows[..., WINDOW // 2 :]
    cosines, sines = waves
    return products(after + before, cosines), products(before - after, sines)


def spectra(windows: Window) -> Spectrum:
    """The spectrum of each window of 256 samples, of which 110 bins are computed: shape (..., 110)."""
    real, imaginary = _transform(windows, _COMPUTED)
    bins: Spectrum = np.empty(real.shape, np.complex64)
    bins.real, bins.imag = real, imaginary
    return bins


def powers_of(bins: Spectrum) -> Window:
    """The power of each bin of a spectrum."""
    powers: Window = np.square(bins.real)
    powers += np.square(bins.imag)
    return powers


def band_sums(bins: Window) -> Window:
    """The sums of the 106 bins that count over each of the 14 bands: shape (..., 14)."""
    return products(bins, _OF_BANDS)


def band_powers(windows: Window) -> Window:
    """Powers of the 14 bands of each window of 256 samples: shape (..., 14)."""
    return band_sums(powers_of(spectra(windows)[..., COUNTED]))


def pitch(windows: Window) -> tuple[Window, NDArray[np.intp]]:
    """How alike one pitch period and the next are, and the length of a period in samples.

    The likeness is 1 for a voiced sound without noise, some 0.2 for noise. The windows have shape (..., 256), the
    results (...).
    """
    if windows.ndim == 1:
        correlation = _autocorrelation(windows * _HANN)
        none, lags = correlation[0], correlation[SHORTEST_PERIOD:]
    else:
        real, imaginary = _transform(windows, _EVERY)
        real *= real
        imaginary *= imaginary
        real += imaginary
        correlations = products(real, _TO_LAGS)
        none, lags = correlations[:, 0], correlations[:, 1:]
    weighted = lags * _LAG_WEIGHTS
    alike: Window = weighted.max(axis=-1) / np.maximum(none, _TINY)
    return alike, weighted.argmax(axis=-1) + SHORTEST_PERIOD


def change(latest: Spectrum, before: Spectrum, earliest: Spectrum, bands: NDArray[np.bool_]) -> Window:
    """How far the spectrum `latest` differs from a prediction by the two before it: 0 for steady tones, up to 1.

    The spectra have shape (..., 106). Only the bands that are True in `bands`, shape (..., 14), are compared.
    The result has shape (...).

    The prediction assumes that each bin keeps its magnitude and frequency (Duxbury and others, "Complex domain
    onset detection for musical signals", 2003). Tones, hum and held notes keep them; a voice's harmonics do not.
    """
    magnitudes = np.abs(before)
    predicted = before * before
    predicted *= earliest.conj()
    predicted *= 1 / np.maximum(magnitudes * np.abs(earliest), _TINY)  # numpy is slow to divide complex numbers
    magnitudes += np.abs(latest)
    errors = np.vecdot(band_sums(np.abs(latest - predicted)), bands)
    figures: Window = errors / np.maximum(np.vecdot(band_sums(magnitudes), bands), _TINY)
    return figures


def concentration(powers: Window) -> Window:
    """The share of the power that lies within 62.5 Hz of the strongest frequency: 1 for a single tone.

    The powers of the bins that are computed have shape (..., 110), the result (...).
    """
    if powers.ndim == 1:
        tones: Window = np.convolve(powers, _TONE, "valid")
    else:
        tones = powers[:, :BINS].copy()
        for at in range(1, 2 * _AROUND + 1):
            tones += powers[:, at : at + BINS]
    shares: Window = tones.max(axis=-1) / np.maximum(powers.sum(axis=-1), _TINY)
    return shares
