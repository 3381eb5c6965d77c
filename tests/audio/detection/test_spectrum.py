"""Spectra of frames, and what they tell of a sound."""

from typing import NamedTuple

import numpy as np
import pytest

from mediaserver.audio.detection import spectrum
from mediaserver.audio.detection.spectrum import BANDS, COUNTED, WINDOW, band_powers, spectra
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


def measure(samples: np.ndarray) -> Measures:
    windows = windows_of(samples)
    earliest, before, latest = (spectra(window) for window in windows)
    return Measures(
        float(spectrum.pitch(windows[-1])[0]),
        float(spectrum.change(latest[COUNTED], before[COUNTED], earliest[COUNTED], np.ones(BANDS, bool))),
        float(spectrum.concentration(spectrum.powers_of(latest))),
        band_powers(windows[-1]),
    )


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
        found = spectrum.powers_of(spectra(window)[COUNTED])
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-6 * expected.max() + 1e-3)


def test_many_windows_together_have_the_measures_of_each() -> None:
    windows = np.stack([windows_of(sound) for sound in SOUNDS.values()])
    earliest, before, latest = (spectra(windows[:, n]) for n in range(3))
    every = np.ones((len(SOUNDS), BANDS), bool)
    together = (
        spectrum.pitch(windows[:, -1])[0],
        spectrum.change(latest[:, COUNTED], before[:, COUNTED], earliest[:, COUNTED], every),
        spectrum.concentration(spectrum.powers_of(latest)),
    )
    alone = [measure(sound) for sound in SOUNDS.values()]
    for n, figures in enumerate(together):
        assert figures == pytest.approx(np.array([each[n] for each in alone]), abs=1e-4)
    assert band_powers(windows[:, -1]) == pytest.approx(np.stack([each.bands for each in alone]), rel=1e-3, abs=1)
