"""Gain and DC offset: what comes out is exact, or fits into 16 bits."""

import numpy as np
import pytest

from mediaserver.audio.level import levelling
from mediaserver.audio.level.levels import peak
from tests.audio.measure import sine16
from tests.sound import speechlike

VOICE = np.clip(speechlike(16_000), -20_000, 20_000)


def shifted(samples: np.ndarray, offset: int) -> np.ndarray:
    return np.clip(samples.astype(int) + offset, -32768, 32767).astype(np.int16)


@pytest.mark.parametrize("offset", [3604, -3604, 400])
def test_a_steady_offset_is_found_and_removed_to_the_bit(offset: int) -> None:
    voice = shifted(VOICE, -round(VOICE.mean()))
    found = levelling.steady_offset(shifted(voice, offset))
    assert found == pytest.approx(offset, abs=1)
    assert np.array_equal(levelling.remove_offset(shifted(voice, offset), found), shifted(voice, offset - found))


@pytest.mark.parametrize(
    "sound",
    [
        shifted(VOICE, 250),  # less than 1 % of full scale
        np.full(8000, 5000, dtype=np.int16),
        np.arange(-2000, 16_000, 2, dtype=np.int16),  # the mean comes and goes
        np.concatenate((VOICE[:8000], shifted(VOICE, 4000)[8000:])),
        shifted(VOICE, 8000)[:799],
        np.zeros(0, dtype=np.int16),
        np.zeros(8000, dtype=np.int16),
    ],
)
def test_what_is_no_offset_of_the_sound_is_left_alone(sound: np.ndarray) -> None:
    assert levelling.steady_offset(sound) == 0


@pytest.mark.parametrize(("quarter", "steady"), [(1900, True), (2000, True), (2100, False)])
def test_an_offset_is_steady_where_no_quarter_s_mean_is_off_by_more_than_half(quarter: int, steady: bool) -> None:
    """The mean of all is 4000: two quarters are above it by as much as two are below it."""
    wave = np.tile(np.array([100, -100], np.int16), 1000)
    sound = np.concatenate([shifted(wave, 4000 + by) for by in (quarter, -quarter, quarter, -quarter)])
    assert levelling.steady_offset(sound) == (4000 if steady else 0)


@pytest.mark.parametrize(("samples", "offset"), [(799, 0), (800, 4000), (801, 4000)])
def test_a_sound_of_100_ms_is_long_enough_to_have_an_offset(samples: int, offset: int) -> None:
    wave = shifted(np.tile(np.array([100, -100], np.int16), 401), 4000)[:samples]
    assert levelling.steady_offset(wave) == pytest.approx(offset, abs=1)


def test_the_highest_16_bit_sample_is_not_made_softer_and_one_more_step_is() -> None:
    for highest, peak_after in ((32_767, 32_767), (32_768, levelling.PEAK_LIMIT)):
        sound = np.array([highest - 1000, 0, 0], np.int16)
        assert peak(levelling.remove_offset(sound, -1000)) == peak_after


def test_what_no_longer_fits_once_its_offset_is_removed_is_made_softer() -> None:
    loud = np.tile(np.array([-32768, 32767, 32767, 32767], dtype=np.int16), 1000)
    offset = levelling.steady_offset(loud)
    assert offset == pytest.approx(16_383, abs=1)
    removed = levelling.remove_offset(loud, offset)
    assert peak(removed) == levelling.PEAK_LIMIT
    assert abs(removed.mean()) < 1


def test_a_loop_has_no_step_where_its_offset_was_removed() -> None:
    loop = shifted(sine16(440, 8000, 1), 3000)
    clean = levelling.remove_offset(loop, levelling.steady_offset(loop))
    assert int(clean[0]) - int(clean[-1]) == int(loop[0]) - int(loop[-1])


@pytest.mark.parametrize("gain", [-20.0, -0.3, 3.0])
def test_a_gain_is_exact_to_half_a_step(gain: float) -> None:
    assert np.max(np.abs(levelling.amplify(VOICE, gain) - VOICE * 10 ** (gain / 20))) <= 0.5


def test_what_comes_out_are_samples_of_16_bits() -> None:
    assert levelling.amplify(VOICE, 3.0).dtype == np.int16
    for offset in (100, -20_000):
        assert levelling.remove_offset(VOICE, offset).dtype == np.int16


def test_no_gain_changes_nothing_and_too_much_clips() -> None:
    assert np.array_equal(levelling.amplify(VOICE, 0.0), VOICE)
    assert set(levelling.amplify(np.array([30_000, -30_000], dtype=np.int16), 6.0)) == {32767, -32768}


@pytest.mark.parametrize("highest", [1000, 32123, 32768])
def test_the_headroom_is_what_brings_the_peak_to_the_limit(highest: int) -> None:
    sound = np.array([0, -highest, 5], dtype=np.int16)
    assert peak(levelling.amplify(sound, levelling.headroom_db(sound))) == levelling.PEAK_LIMIT
