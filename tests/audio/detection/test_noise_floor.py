"""The noise floor of each band."""

import numpy as np

from mediaserver.audio.detection.noise_floor import NOISE_FIELDS, end_blocks, push_powers, reset
from mediaserver.audio.detection.spectrum import BANDS
from mediaserver.audio.detection.state_table import StateTable


class Floors:
    """The noise floors of streams."""

    def __init__(self, count: int = 1) -> None:
        self.table = StateTable(NOISE_FIELDS)
        self.at = np.array([self.table.add() for _ in range(count)])
        self.frames = np.zeros(count, np.int64)
        for index in self.at:
            reset(self.table.columns, int(index))

    def push(self, bands: np.ndarray, rows: slice = slice(None)) -> np.ndarray:
        at = self.at[rows]
        found = push_powers(self.table.columns, at, bands.astype(np.float32).reshape(len(at), BANDS))
        self.frames[rows] += 1
        end_blocks(self.table.columns, at, self.frames[rows])
        return found


def test_the_floor_is_the_mean_of_noise_within_2_db() -> None:
    rng, floor = np.random.default_rng(1), Floors()
    for _ in range(300):
        found = floor.push(rng.gamma(6, 100 / 6, BANDS))  # as the power of a band of six bins varies
    assert np.all(np.abs(10 * np.log10(found / 100)) < 3)
    assert abs(10 * np.log10(found.mean() / 100)) < 2


def test_a_voice_with_gaps_does_not_raise_the_floor() -> None:
    floor, quiet = Floors(), np.full(BANDS, 10, np.float32)
    for number in range(500):
        found = floor.push(quiet * (100 if number % 25 < 13 else 1))
    assert np.all(found < 25)


def test_the_floor_falls_at_once_and_rises_within_2200_ms() -> None:
    floor, loud, quiet = Floors(), np.full(BANDS, 1000, np.float32), np.ones(BANDS, np.float32)
    for _ in range(200):
        floor.push(quiet)
    rise = [bool(np.all(floor.push(loud) > 900)) for _ in range(120)]
    assert not any(rise[:90])
    assert all(rise[110:])
    fall = [float(floor.push(quiet)[0, 0]) for _ in range(20)]
    assert fall[-1] < 2


def test_each_row_is_a_stream_of_its_own() -> None:
    rng = np.random.default_rng(2)
    powers = rng.gamma(6, 100 / 6, (120, 3, BANDS)).astype(np.float32)
    together, alone = Floors(3), [Floors() for _ in range(3)]
    alone[2].push(powers[0, 2])  # so that the blocks of this one end at other frames
    together.push(powers[0, 2], slice(2, 3))
    for frame in powers:
        floors = together.push(frame)
        for n in range(3):
            assert np.array_equal(floors[n], alone[n].push(frame[n])[0])


def test_after_silence_all_is_above_the_floor_until_the_estimate_begins_anew() -> None:
    floor, loud = Floors(), np.full(BANDS, 1000, np.float32)
    reset(floor.table.columns, int(floor.at[0]), silent=True)
    assert not any(floor.push(loud).any() for _ in range(100))
    reset(floor.table.columns, int(floor.at[0]))
    assert np.all(floor.push(loud) > 1000)
