"""Comfort noise: its level, its band, its nature, and the seam nobody hears."""

import numpy as np
import pytest

from mediaserver.audio import noise
from tests.audio.measure import dbm0


def band_power(samples, low, high):
    hz = np.fft.rfftfreq(len(samples), 1 / 8000)
    power = np.abs(np.fft.rfft(samples.astype(float))) ** 2
    return power[(hz >= low) & (hz < high)].sum()


def test_five_seconds_in_whole_frames():
    assert len(noise.render(-50)) == 40_000
    assert len(noise.render(-50)) % 160 == 0


@pytest.mark.parametrize("level", [-65.0, -50.0, -30.0, -20.0])
def test_noise_has_the_level_asked_for(level):
    assert dbm0(noise.render(level)) == pytest.approx(level, abs=0.1)


def test_noise_fills_the_telephone_band_evenly_and_nothing_else():
    samples = noise.render(-20)
    total = band_power(samples, 0, 4000)
    assert band_power(samples, 200, 3400.1) / total > 0.9999
    for low in range(200, 3400, 400):
        assert band_power(samples, low, low + 400) / total == pytest.approx(400 / 3200, rel=0.1)


def test_the_ends_of_the_band_are_in_it():
    size = np.abs(np.fft.rfft(noise.render(-20).astype(float)))  # of every fifth of a hertz
    assert min(size[200 * 5], size[3400 * 5]) > 100 * max(size[200 * 5 - 1], size[3400 * 5 + 1])


def test_noise_is_gaussian():
    samples = noise.render(-30).astype(float)
    kurtosis = np.mean(samples**4) / np.mean(samples**2) ** 2
    assert samples.mean() == pytest.approx(0, abs=0.5)
    assert kurtosis == pytest.approx(3, abs=0.1)  # a sine has 1.5, evenly spread numbers 1.8


def out_of_band_share(passage):
    windowed = passage * np.hanning(len(passage))
    return 1 - band_power(windowed, 150, 3450) / band_power(windowed, 0, 4001)


def test_the_end_of_the_noise_continues_into_its_beginning():
    samples = noise.render(-20)
    across = np.concatenate((samples[-400:], samples[:400]))
    jumping = np.concatenate((samples[-401:-1], samples[100:500]))
    assert out_of_band_share(across) < 1e-4
    assert out_of_band_share(jumping) > 1e-4  # what a seam would look like


def test_the_same_seed_gives_the_same_noise_and_another_seed_other_noise():
    assert np.array_equal(noise.render(-50, seed=1), noise.render(-50, seed=1))
    assert np.array_equal(noise.render(-50), noise.render(-50, seed=0))
    assert not np.array_equal(noise.render(-50, seed=1), noise.render(-50, seed=2))
