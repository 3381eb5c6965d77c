"""Defects that are put into a sound are found, at every rate and however the sound is cut into blocks."""

import numpy as np
import pytest

from mediaserver.audio.level.defects import SourceMeter
from tests.sound import sine


def measured(signal: np.ndarray, rate: int = 8000, block: int = 100_000) -> SourceMeter:
    meter = SourceMeter()
    for at in range(0, len(signal), block):
        meter.feed(signal[at : at + block], rate)
    meter.finish()
    return meter


@pytest.mark.parametrize("block", [1, 7, 160, 100_000])
@pytest.mark.parametrize("rate", [8000, 44_100])
def test_peaks_that_are_cut_off_are_counted(rate: int, block: int) -> None:
    loud = np.clip(sine(100, 0.05, rate, 1.5), -1, 1)
    assert measured(loud, rate, block).clipped_runs == 10  # two in each period
    assert measured(np.clip(sine(100, 0.05, rate, 1.0), -1, 1), rate, block).clipped_runs == 0


@pytest.mark.parametrize(
    ("signal", "runs"),
    [
        ([0, 1, 1, 0], 0),
        ([0, 1, 1, 1], 1),  # until the end
        ([-1, -1, -1, 1, 1, 1], 2),
        ([1.2, 1.5, 1.1], 1),  # a decoder's overshoot is cut off when it becomes 16 bits
        ([0.99, 0.985, 0.99, 0.985], 0),
        ([0.5] * 10, 0),
        ([32124 / 32768] * 3, 1),  # the loudest code of µ-law
        ([], 0),
    ],
)
def test_a_clipped_peak_is_three_samples_of_one_value_near_full_scale(signal: list[float], runs: int) -> None:
    assert measured(np.array(signal, dtype=float)).clipped_runs == runs


@pytest.mark.parametrize("offset", [0.11, -0.02, 0.0])
def test_the_offset_is_the_mean(offset: float) -> None:
    assert measured(sine(440, 1, 16_000, 0.3) + offset, 16_000, 999).offset == pytest.approx(offset, abs=1e-6)


@pytest.mark.parametrize("rate", [8000, 11_025, 48_000])
def test_the_share_of_energy_outside_of_the_band(rate: int) -> None:
    low, middle = sine(100, 2, rate, 0.4), sine(1000, 2, rate, 0.2)
    assert measured(middle, rate).out_of_band == pytest.approx(0, abs=0.001)
    assert measured(middle + 0.3, rate).out_of_band == pytest.approx(0, abs=0.001)  # DC is no part of it
    assert measured(low + middle, rate, 777).out_of_band == pytest.approx(0.8, abs=0.01)


def test_what_is_above_the_band_is_outside_of_it_too() -> None:
    high, middle = sine(10_000, 1, 48_000, 0.2), sine(1000, 1, 48_000, 0.2)
    assert measured(high + middle, 48_000).out_of_band == pytest.approx(0.5, abs=0.01)


def test_sounds_that_are_short_or_silent_have_a_share_too() -> None:
    assert measured(sine(1000, 0.02, 8000)).out_of_band == pytest.approx(0, abs=0.05)
    assert measured(np.zeros(8000)).out_of_band == 0.0
    assert measured(np.zeros(0)).offset == 0.0


def test_a_sound_passes_as_it_is() -> None:
    meter, blocks = SourceMeter(), [sine(440, 0.1, 8000), sine(880, 0.1, 8000)]
    passed = list(meter.watch(iter(blocks), 8000))
    assert all(np.array_equal(*pair) for pair in zip(blocks, passed, strict=True))
    assert meter.samples == 1600
