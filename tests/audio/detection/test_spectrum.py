"""Spectra of frames, and what they tell of a sound."""

from typing import NamedTuple

import numpy as np
import pytest

from mediaserver.audio.detection import spectrum
from mediaserver.audio.detection.spectrum import (
    BANDS,
    COUNTED,
    WINDOW,
    Spectrum,
    band_powers,
    fold_windows,
    spectra,
)
from tests.sound import sine, voice


class Measures(NamedTuple):
    """What is told of the last frame of a sound."""

    periodicity: float
    change: float
    concentration: float
    bands: np.ndarray


def windows_of(samples: np.ndarray) -> np.ndarray:
    """The windows of the last three frames, shape (3, 256)."""
    ends = [len(samples) - 320, len(samples) - 160, len(samples)]
    return np.stack([samples[end - WINDOW : end] for end in ends]).astype(np.float32)


def figures_of(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The periodicity, the change, the concentration and the powers of n sounds, by their last three windows."""
    earliest, before, latest = (spectra(fold_windows(windows[:, n])) for n in range(3))
    return (
        spectrum.pitch(fold_windows(windows[:, -1]))[0],
        spectrum.change(latest, before, earliest, np.ones((len(windows), BANDS), bool)),
        spectrum.concentration(spectrum.powers_of(latest)),
        band_powers(windows[:, -1]),
    )


def measure(samples: np.ndarray) -> Measures:
    periodicity, change, concentration, bands = figures_of(windows_of(samples)[None])
    return Measures(float(periodicity[0]), float(change[0]), float(concentration[0]), bands[0])


SOUNDS = {
    "a sine": 20_000 * sine(425, 0.2, 8000),
    "noise": np.random.default_rng(1).normal(0, 3000, 1600),
    "a voice": voice(1600).astype(float),
    "silence": np.zeros(1600),
}


def test_a_sine_is_periodic_steady_and_concentrated() -> None:
    found = measure(SOUNDS["a sine"])
    assert found.periodicity == pytest.approx(1, abs=0.03)
    assert found.change < 0.1
    assert found.concentration > 0.97
    assert found.bands.argmax() == 2  # 437.5 Hz are the first bin of the next but one band


def test_noise_is_none_of_these() -> None:
    found = measure(SOUNDS["noise"])
    assert found.periodicity < 0.35
    assert found.change > 0.5
    assert found.concentration < 0.2


def test_a_voice_is_periodic_and_changes() -> None:
    found = measure(SOUNDS["a voice"])
    assert found.periodicity > 0.8
    assert found.change > 0.35
    assert found.concentration < 0.9


def test_silence_has_no_power_and_breaks_no_measure() -> None:
    found = measure(SOUNDS["silence"])
    assert not found.bands.any()
    assert (found.periodicity, found.change, found.concentration) == (0, 0, 0)


def test_powers_are_those_of_a_fourier_transform() -> None:
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)
    for sound in SOUNDS.values():
        window = windows_of(sound)[-1]
        expected = np.abs(np.fft.rfft(window * hann)[6:112]) ** 2
        found = spectrum.powers_of(spectra(fold_windows(window)))[COUNTED]
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-6 * expected.max() + 1e-3)


def test_many_windows_together_have_the_measures_of_each() -> None:
    together = figures_of(np.stack([windows_of(sound) for sound in SOUNDS.values()]))
    alone = [measure(sound) for sound in SOUNDS.values()]
    for n, figures in enumerate(together[:-1]):
        assert figures == pytest.approx(np.array([each[n] for each in alone]), abs=1e-4)
    assert together[-1] == pytest.approx(np.stack([each.bands for each in alone]), rel=1e-3, abs=1)


def test_the_pitch_is_the_highest_of_the_autocorrelation_which_does_not_fall_with_the_lag() -> None:
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) + 0.5) / WINDOW)
    windows = np.stack([windows_of(voice(1600, hertz))[-1] for hertz in (75, 120, 180, 390)])
    alike, periods = spectrum.pitch(fold_windows(windows))

    def autocorrelation(signal: np.ndarray) -> np.ndarray:
        return np.array([signal[lag:] @ signal[: WINDOW - lag] for lag in range(spectrum.LONGEST_PERIOD + 1)])

    for window, likeness, period in zip(windows, alike, periods, strict=True):
        found = autocorrelation(window * hann)
        expected = found / found[0] * (autocorrelation(hann)[0] / autocorrelation(hann))
        lags = expected[spectrum.SHORTEST_PERIOD :]
        assert period == lags.argmax() + spectrum.SHORTEST_PERIOD
        assert likeness == pytest.approx(lags.max(), abs=1e-4)


def test_a_spectrum_that_goes_on_as_predicted_does_not_change_and_one_of_another_sound_does() -> None:
    at = np.arange(WINDOW + 320)
    sines, other = 8000 * np.sin(0.5 * at + 1) + 3000 * np.sin(1.2 * at), 8000 * np.sin(0.9 * at)
    windows = [sines[None, n : n + WINDOW] for n in (0, 160, 320)] + [other[None, :WINDOW]]
    every = np.ones((1, BANDS), bool)
    earliest, before, latest, of_other = (spectra(fold_windows(each.astype(np.float32))) for each in windows)
    assert spectrum.change(latest, before, earliest, every)[0] < 0.02
    assert spectrum.change(of_other, before, earliest, every)[0] > 0.8
    silence = Spectrum(np.zeros_like(latest.real), np.zeros_like(latest.imaginary))
    assert spectrum.change(latest, silence, silence, every)[0] == pytest.approx(1)


@pytest.mark.parametrize("hertz", [200, 1000, 3450])
def test_the_bins_of_one_stream_do_not_count_as_those_of_the_next(hertz: float) -> None:
    at = np.arange(WINDOW) / 8000
    tone = np.sin(2 * np.pi * hertz * at) * 8000
    rng = np.random.default_rng(3)
    windows = np.stack([tone, rng.normal(0, 4000, WINDOW), tone]).astype(np.float32)
    found = spectrum.concentration(spectrum.powers_of(spectra(fold_windows(windows))))
    assert found[0] == found[2] > 0.97
    assert found[1] < 0.3
