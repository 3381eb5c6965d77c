"""The noise floor of each band."""

import numpy as np

from mediaserver.audio.detection.noise_floor import FLOOR_WIDTH, end_blocks, new_floor, push_powers
from mediaserver.audio.detection.spectrum import BANDS


class Floor:
    """The noise floor of one stream."""

    def __init__(self) -> None:
        self.row, self.frames = new_floor(), 0

    def push(self, bands: np.ndarray) -> np.ndarray:
        found = push_powers(self.row, bands.astype(np.float32))
        self.frames += 1
        end_blocks(self.row[None], np.array([self.frames]))
        return found


def test_the_floor_is_the_mean_of_noise_within_2_db() -> None:
    rng, floor = np.random.default_rng(1), Floor()
    for _ in range(300):
        found = floor.push(rng.gamma(6, 100 / 6, BANDS))  # as the power of a band of six bins varies
    assert np.all(np.abs(10 * np.log10(found / 100)) < 3)
    assert abs(10 * np.log10(found.mean() / 100)) < 2


def test_a_voice_with_gaps_does_not_raise_the_floor() -> None:
    floor, quiet = Floor(), np.full(BANDS, 10, np.float32)
    for number in range(500):
        found = floor.push(quiet * (100 if number % 25 < 13 else 1))
    assert np.all(found < 25)


def test_the_floor_falls_at_once_and_rises_within_2200_ms() -> None:
    floor, loud, quiet = Floor(), np.full(BANDS, 1000, np.float32), np.ones(BANDS, np.float32)
    for _ in range(200):
        floor.push(quiet)
    rise = [bool(np.all(floor.push(loud) > 900)) for _ in range(120)]
    assert not any(rise[:90])
    assert all(rise[110:])
    fall = [float(floor.push(quiet)[0]) for _ in range(20)]
    assert fall[-1] < 2


def test_each_row_is_a_stream_of_its_own() -> None:
    rng = np.random.default_rng(2)
    powers = rng.gamma(6, 100 / 6, (120, 3, BANDS)).astype(np.float32)
    together, alone = [Floor() for _ in range(3)], [Floor() for _ in range(3)]
    alone[2].push(powers[0, 2])  # so that the blocks of this one end at other frames
    together[2].push(powers[0, 2])
    for frame in powers:
        rows = np.concatenate([each.row for each in together]).reshape(3, FLOOR_WIDTH)
        floors = push_powers(rows, frame)
        for each in together:
            each.frames += 1
        end_blocks(rows, np.array([each.frames for each in together]))
        for n, each in enumerate(together):
            each.row[:] = rows[n]
            assert np.array_equal(floors[n], alone[n].push(frame[n]))
