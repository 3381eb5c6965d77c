"""Frames that are mixed: sums that do not overflow, and the gain of what is lowered."""

import numpy as np
import pytest

from mediaserver.audio.mixing import Ducker, add
from mediaserver.audio.pcm import SILENCE, Samples, from_bytes, to_bytes

LOUD = to_bytes(np.full(160, 5000, dtype=np.int16))
FLAT = to_bytes(np.full(160, 10_000, dtype=np.int16))  # the gain shows in each of its samples


def gains(heard: bytes, other: bytes = SILENCE) -> Samples:
    return (from_bytes(heard).astype(np.float64) - from_bytes(other)) / 10_000  # type: ignore[return-value]


def raised(ducking: float) -> Ducker:
    ducker = Ducker(ducking)
    while not ducker.is_raised:
        ducker.apply(FLAT)
    return ducker


def test_a_sum_is_clipped_and_never_wraps_around() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.integers(-32_768, 32_768, (2, 160)).astype(np.int16)
    expected = np.clip(one.astype(np.int32) + other, -32_768, 32_767)
    assert set(expected) >= {-32_768, 32_767}
    assert (from_bytes(add(to_bytes(one), to_bytes(other))) == expected).all()


def test_a_sound_fades_in_within_400_ms() -> None:
    ducker = Ducker(10.0)
    heard = np.concatenate([gains(ducker.apply(FLAT)) for _ in range(20)])
    assert heard == pytest.approx(np.arange(1, 3201) / 3200, abs=1e-4)
    assert ducker.is_raised
    assert ducker.apply(FLAT) is FLAT


@pytest.mark.parametrize(("ducking", "frames"), [(6.0, 3), (10.0, 4), (20.0, 5), (60.0, 5)])
def test_it_is_lowered_within_100_ms_of_the_other_sound(ducking: float, frames: int) -> None:
    ducker = raised(ducking)
    heard = np.concatenate([gains(ducker.mix(LOUD, FLAT), LOUD) for _ in range(frames + 2)])
    assert np.abs(np.diff(heard, prepend=1.0)).max() <= 1 / 800 + 1.5e-4  # a straight ramp
    assert heard[160 * (frames - 1) - 1] > 10 ** (-ducking / 20) + 1e-3
    assert heard[160 * frames :] == pytest.approx(10 ** (-ducking / 20), abs=1.1e-4)


def test_it_stays_low_between_words_and_comes_back_300_ms_after_the_last() -> None:
    ducker, low = raised(20.0), 0.1
    for _ in range(10):
        ducker.mix(LOUD, FLAT)
    for _ in range(3):
        for _ in range(15):
            assert gains(ducker.mix(SILENCE, FLAT)) == pytest.approx(low, abs=1.1e-4)
        assert gains(ducker.mix(LOUD, FLAT), LOUD) == pytest.approx(low, abs=1.1e-4)
    for _ in range(15):
        assert gains(ducker.apply(FLAT)) == pytest.approx(low, abs=1.1e-4)
    heard = np.concatenate([gains(ducker.apply(FLAT)) for _ in range(18)])
    assert heard == pytest.approx(np.minimum(1, low + np.arange(1, 2881) / 3200), abs=1.1e-4)
    assert ducker.is_raised


def test_the_noise_of_a_line_lowers_nothing() -> None:
    ducker, noise = raised(20.0), to_bytes(np.tile(np.array([65, -65], dtype=np.int16), 80))
    assert ducker.mix(noise, FLAT) == add(noise, FLAT)
    assert ducker.is_raised


def test_without_ducking_the_sum_is_exact() -> None:
    ducker = raised(0.0)
    for other in (LOUD, SILENCE, LOUD):
        assert ducker.mix(other, FLAT) == add(other, FLAT)
