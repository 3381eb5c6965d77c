"""The noise floor of each band."""

import numpy as np

from mediaserver.audio.detection.noise_floor import NoiseFloor
from mediaserver.audio.detection.spectrum import BANDS


def test_the_floor_is_the_mean_of_noise_within_2_db() -> None:
    rng, floor = np.random.default_rng(1), NoiseFloor()
    for _ in range(300):
        found = floor.push(rng.gamma(6, 100 / 6, BANDS))  # as the power of a band of six bins varies
    assert np.all(np.abs(10 * np.log10(found / 100)) < 3)
    assert abs(10 * np.log10(found.mean() / 100)) < 2


def test_a_voice_with_gaps_does_not_raise_the_floor() -> None:
    floor, quiet = NoiseFloor(), np.full(BANDS, 10.0)
    for number in range(500):
        found = floor.push(quiet * (100 if number % 25 < 13 else 1))
    assert np.all(found < 25)


def test_the_floor_falls_at_once_and_rises_within_2200_ms() -> None:
    floor, loud, quiet = NoiseFloor(), np.full(BANDS, 1000.0), np.full(BANDS, 1.0)
    for _ in range(200):
        floor.push(quiet)
    rise = [bool(np.all(floor.push(loud) > 900)) for _ in range(120)]
    assert not any(rise[:90])
    assert all(rise[110:])
    fall = [float(floor.push(quiet)[0]) for _ in range(20)]
    assert fall[-1] < 2
