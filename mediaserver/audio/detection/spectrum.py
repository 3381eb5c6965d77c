"""Short-time spectra of 8 kHz audio, and three measures of a frame: pitch, change and concentration.

A spectrum is taken each 20 ms, of the last 32 ms. Its bins are 31.25 Hz apart. Of these, the 106 bins from 187.5
to 3468.75 Hz count, a little more than a telephone carries. They form 14 bands, about as wide as those of the ear.

The functions take one frame, or a frame of each of many streams as the rows of an array. Computing many frames
together takes little longer than computing one.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.pcm import FRAME_SAMPLES, SAMPLE_RATE
from mediaserver.audio.products import products

Window = NDArray[np.floating[Any]]  # the samples of windows, or real numbers computed from them; always float32

WINDOW = 256  # number of samples of which a spectrum is taken: 32 ms
OVERLAP = WINDOW - FRAME_SAMPLES  # number of samples of the previous frame in a frame's window
HALF = WINDOW // 2
_FIRST, _LAST = 6, 112  # the range of a spectrum's bins that count: from the first up to, but without, the last
_AROUND = 2  # number of bins to each side of its strongest bin that a tone fills, even with 16 Hz of modulation
# A tone near the first or the last bin that counts fills bins beyond it, so these are computed as well.
BINS = _LAST - _FIRST + 2 * _AROUND
COUNTED = slice(_AROUND, BINS - _AROUND)  # of the 110 bins that are computed, the 106 that count
_EDGES = np.array([6, 10, 14, 18, 22, 27, 32, 38, 45, 53, 62, 72, 84, 97])  # the first bin of each band
BANDS = len(_EDGES)

SHORTEST_PERIOD, LONGEST_PERIOD = SAMPLE_RATE // 400, SAMPLE_RATE // 70 + 1  # of a pitch, in samples: 400, 70 Hz
_CORRELATED = 384  # Fourier transform size for an autocorrelation: at least a window and the longest pitch period
_TINY = np.float32(1e-9)

_HANN = (0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)).astype(np.float32)


class Halves(NamedTuple):
    """Windows, folded in the middle: the sums and the differences of their two halves, shape (..., 128) each.

    Sample n of a half is the one that is n samples away from the middle of the window. Around the middle, cosines
    are even and sines are odd. So a spectrum takes half as many multiplications.
    """

    sums: Window
    differences: Window


class Spectrum(NamedTuple):
    """The real and the imaginary parts of the 110 bins that are computed, shape (..., 110) each.

    Numpy takes much longer for arrays whose rows are apart from each other than for whole ones. So the two parts
    are arrays of their own, and all bins are kept.
    """

    real: Window
    imaginary: Window


def _waves(bins: NDArray[np.integer], size: int) -> tuple[Window, Window]:
    """The matrices by which `_transform` computes these bins of a transform of `size` samples.

    They are cosines and sines over the second half of a Hann window. Time 0 is the middle of the window.
    """
    angles = 2 * np.pi / size * np.outer(np.arange(HALF) + 0.5, bins)
    hann = _HANN[HALF:, None]
    return (hann * np.cos(angles)).astype(np.float32), (hann * -np.sin(angles)).astype(np.float32)


_COMPUTED = _waves(np.arange(_FIRST - _AROUND, _LAST + _AROUND), WINDOW)
_EVERY = _waves(np.arange(_CORRELATED // 2 + 1), _CORRELATED)
# The sum of powers over each band is the product of the powers with this matrix of 1 and 0.
_OF_BANDS = (
    np.searchsorted(_EDGES, np.arange(_FIRST - _AROUND, _LAST + _AROUND), "right")[:, None] - 1 == np.arange(BANDS)
).astype(np.float32)
_OF_BANDS[COUNTED.stop :] = 0

# The autocorrelation of a windowed periodic signal falls as the lag grows. The weights make up for that (Boersma,
# "Accurate short-term analysis of the fundamental frequency", 1993).
_OF_WINDOW = np.correlate(np.concatenate((_HANN, np.zeros(LONGEST_PERIOD, np.float32))), _HANN)
# The autocorrelation at lag 0, and the weighted one at each pitch period, is the product of a power spectrum with
# this matrix.
_LAGS = np.concatenate(([0], np.arange(SHORTEST_PERIOD, LONGEST_PERIOD + 1)))
_TO_LAGS = np.cos(2 * np.pi / _CORRELATED * np.outer(np.arange(_CORRELATED // 2 + 1), _LAGS)) / _CORRELATED
_TO_LAGS[1:-1] *= 2  # negative frequencies have the same powers as positive ones
_TO_LAGS = (_TO_LAGS * (_OF_WINDOW[0] / _OF_WINDOW[_LAGS])).astype(np.float32)


def fold(before: Window, after: Window) -> Halves:
    """Fold windows, given as their first half, backwards in time, and their second half; shape (..., 128) each."""
    return Halves(before + after, after - before)


def fold_windows(windows: Window) -> Halves:
    """Fold windows of 256 samples, shape (..., 256)."""
    return fold(windows[..., HALF - 1 :: -1], windows[..., HALF:])


def _transform(halves: Halves, waves: tuple[Window, Window]) -> Spectrum:
    """The spectrum of windows at the bins of `waves`.

    Matrix products of so few samples take less time than `np.fft`.
    """
    cosines, sines = waves
    return Spectrum(products(halves.sums, cosines), products(halves.differences, sines))


def spectra(halves: Halves) -> Spectrum:
    """The spectrum of each window."""
    return _transform(halves, _COMPUTED)


def powers_of(bins: Spectrum) -> Window:
    """The power of each bin of a spectrum."""
    powers: Window = np.square(bins.real)
    powers += np.square(bins.imaginary)
    return powers


def band_sums(bins: Window) -> Window:
    """The sums over each of the 14 bands of what was computed of each bin: shape (..., 14)."""
    return products(bins, _OF_BANDS)


def band_powers(windows: Window) -> Window:
    """Powers of the 14 bands of each window of 256 samples: shape (..., 14)."""
    return band_sums(powers_of(spectra(fold_windows(windows))))


def pitch(halves: Halves) -> tuple[Window, NDArray[np.intp]]:
    """How alike one pitch period and the next are, and the length of a period in samples, of n windows.

    The likeness is 1 for a voiced sound without noise, some 0.2 for noise. The results have shape (n,).
    """
    correlations = products(powers_of(_transform(halves, _EVERY)), _TO_LAGS)
    likest = 1 + correlations[:, 1:].argmax(axis=1)
    alike: Window = _in_rows(correlations, likest) / np.maximum(correlations[:, 0], _TINY)
    return alike, likest + (SHORTEST_PERIOD - 1)


def change(latest: Spectrum, before: Spectrum, earliest: Spectrum, bands: NDArray[np.bool_]) -> Window:
    """How far the spectrum `latest` differs from a prediction by the two before it: 0 for steady tones, up to 1.

    Only the bands that are True in `bands`, shape (..., 14), are compared. The result has shape (...).

    The prediction assumes that each bin keeps its magnitude and frequency (Duxbury and others, "Complex domain
    onset detection for musical signals", 2003). Tones, hum and held notes keep them; a voice's harmonics do not.
    So a bin is predicted as the square of the one before, times the conjugate of the earliest, of which the
    magnitudes are taken away again.
    """
    real, imaginary = before.real * before.real, before.imaginary * before.imaginary
    magnitudes = np.sqrt(real + imaginary)
    scale = np.maximum(magnitudes * np.sqrt(powers_of(earliest)), _TINY)
    real -= imaginary
    imaginary = before.real * before.imaginary
    imaginary += imaginary
    errors = real * earliest.real
    errors += imaginary * earliest.imaginary
    errors /= scale
    errors -= latest.real
    errors *= errors
    imaginary *= earliest.real
    imaginary -= real * earliest.imaginary
    imaginary /= scale
    imaginary -= latest.imaginary
    imaginary *= imaginary
    errors += imaginary
    magnitudes += np.sqrt(powers_of(latest))
    differing, compared = band_sums(np.sqrt(errors)), band_sums(magnitudes)
    figures: Window = np.vecdot(differing, bands) / np.maximum(np.vecdot(compared, bands), _TINY)
    return figures


def concentration(powers: Window) -> Window:
    """The share of the power that lies within 62.5 Hz of the strongest frequency: 1 for a single tone.

    The powers of the bins that are computed have shape (n, 110), the result (n,).
    """
    # The rows are added up as one, as if one followed the other: a tone's last bins may be those of the next row.
    # Such sums are left out.
    flat = powers.ravel()
    sums = np.zeros(flat.size, np.float32)
    pairs = flat[:-1] + flat[1:]
    np.add(pairs[:-2], pairs[2:], out=sums[: -2 * _AROUND + 1])
    sums[: -2 * _AROUND] += flat[2 * _AROUND :]
    tones: Window = sums.reshape(powers.shape)
    strongest = tones[:, : BINS - 2 * _AROUND].argmax(axis=1)
    shares: Window = _in_rows(tones, strongest) / np.maximum(powers.sum(axis=1), _TINY)
    return shares


def _in_rows(table: Window, columns: NDArray[np.intp]) -> Window:
    """The number in one column of each row. Numpy finds the place of a maximum sooner than a maximum."""
    found: Window = table.ravel()[columns + np.arange(0, table.size, table.shape[1])]
    return found
