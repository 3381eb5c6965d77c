"""The noise floor of each band."""

import numpy as np

from mediaserver.audio.detection.noise_floor import new_floor, push_powers
from mediaserver.audio.detection.spectrum import BANDS


def test_the_floor_is_the_mean_of_noise_within_2_db() -> None:
    rng, floor = np.random.default_rng(1), new_floor()
    for _ in range(300):
        found = push_powers(
            floor, rng.gamma(6, 100 / 6, BANDS).astype(np.float32)
        )  # as the power of a band of six bins varies
    assert np.all(np.abs(10 * np.log10(found / 100)) < 3)
    assert abs(10 * np.log10(found.mean() / 100)) < 2


def test_a_voice_with_gaps_does_not_raise_the_floor() -> None:
    floor, quiet = new_floor(), np.full(BANDS, 10, np.float32)
    for number in range(500):
        found = push_powers(floor, quiet * (100 if number % 25 < 13 else 1))
    assert np.all(found < 25)


def test_the_floor_falls_at_once_and_rises_within_2200_ms() -> None:
    floor, loud, quiet = new_floor(), np.full(BANDS, 1000, np.float32), np.ones(BANDS, np.float32)
    for _ in range(200):
        push_powers(floor, quiet)
    rise = [bool(np.all(push_powers(floor, loud) > 900)) for _ in range(120)]
    assert not any(rise[:90])
    assert all(rise[110:])
    fall = [float(push_powers(floor, quiet)[0]) for _ in range(20)]
    assert fall[-1] < 2


def test_each_row_is_a_stream_of_its_own() -> None:
    rng = np.random.default_rng(2)
    powers = rng.gamma(6, 100 / 6, (120, 3, BANDS)).astype(np.float32)
    together, alone = np.stack([new_floor() for _ in range(3)]), [new_floor() for _ in range(3)]
    push_powers(alone[2], powers[0, 2])  # so that the blocks of this one end at other frames
    push_powers(together[2], powers[0, 2])
    for frame in powers:
        floors = push_powers(together, frame)
        for n in range(3):
            assert np.array_equal(floors[n], push_powers(alone[n], frame[n]))
