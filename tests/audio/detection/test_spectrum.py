"""Spectra of frames, and what they tell of a sound."""

import numpy as np
import pytest

from mediaserver.audio.detection.spectrum import BANDS, WINDOW, SpectrumTrack, band_powers
from tests.sound import sine, voice

ALL = np.ones(BANDS, bool)


def track_of(samples: np.ndarray) -> SpectrumTrack:
    track = SpectrumTrack()
    for at in range(0, len(samples) - 159, 160):
        track.push(samples[at : at + 160].astype(np.int16))
    return track


def test_a_sine_is_periodic_steady_and_concentrated() -> None:
    track = track_of(20_000 * sine(425, 0.2, 8000))
    assert track.periodicity() == pytest.approx(1, abs=0.03)
    assert track.change(ALL) < 0.1
    assert track.concentration() > 0.97
    assert track.bands.argmax() == 2  # 437.5 Hz are the first bin of the next but one band


def test_noise_is_none_of_these() -> None:
    track = track_of(np.random.default_rng(1).normal(0, 3000, 1600))
    assert track.periodicity() < 0.35
    assert track.change(ALL) > 0.5
    assert track.concentration() < 0.2


def test_a_voice_is_periodic_and_changes() -> None:
    track = track_of(voice(1600))
    assert track.periodicity() > 0.8
    assert track.change(ALL) > 0.35
    assert track.concentration() < 0.9


def test_a_window_of_what_was_sent_has_the_same_bands() -> None:
    samples = voice(WINDOW * 4).astype(float)
    track = track_of(samples[:960])
    assert band_powers(samples[960 - WINDOW : 960][None])[0] == pytest.approx(track.bands, rel=1e-3)


def test_silence_has_no_power_and_breaks_no_measure() -> None:
    track = track_of(voice(800))
    track.push_silence()
    assert not track.bands.any()
    assert (track.periodicity(), track.concentration()) == (0, 0)
    track.push(voice(160))
    assert track.bands.all()
    assert 0 < track.change(ALL) <= 1.5
