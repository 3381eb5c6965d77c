"""Silence before and after a sound, to the frame of 10 ms."""

import numpy as np
import pytest

from mediaserver.audio.level.edges import silence_at_edges, trim
from tests.audio.measure import sine16

TONE = sine16(500, 3000, 0.5)  # -23.8 dBov


def padded(before: int, after: int, noise: int = 0, sound: np.ndarray = TONE) -> np.ndarray:
    """A sound between so many samples of silence, or of noise of so many steps."""
    rng = np.random.default_rng(1)
    ends = (rng.integers(-noise, noise + 1, count) for count in (before, after))
    first, last = (end.astype(np.int16) for end in ends)
    return np.concatenate((first, sound, last))


@pytest.mark.parametrize(("before", "after"), [(0, 0), (80, 160), (4000, 12_000), (200_000, 80)])
def test_silence_is_found_where_it_is(before: int, after: int) -> None:
    assert silence_at_edges(padded(before, after, noise=5), -60) == (before, after)


def test_a_frame_that_is_partly_sound_is_sound() -> None:
    assert silence_at_edges(padded(1, 1), -60) == (0, 0)
    assert silence_at_edges(padded(100, 100), -60) == (80, 80)


def test_what_is_louder_than_the_threshold_is_no_silence() -> None:
    hiss = padded(8000, 8000, noise=100)  # -55 dBov
    assert silence_at_edges(hiss, -50) == (8000, 8000)
    assert silence_at_edges(hiss, -60) == (0, 0)


@pytest.mark.parametrize(("level", "silent"), [(-50.1, True), (-49.9, False)])
def test_the_threshold_is_the_power_of_a_frame_in_dbov(level: float, silent: bool) -> None:
    steps = np.full(800, round(32768 * 10 ** (level / 20)), np.int16)
    assert silence_at_edges(steps, -50) == ((800, 0) if silent else (0, 0))


def test_sound_in_the_last_samples_that_fill_no_frame_is_sound() -> None:
    sound = np.zeros(239, np.int16)
    sound[-1] = 20_000
    assert silence_at_edges(sound, -50) == (160, 0)
    assert silence_at_edges(sound[::-1], -50) == (0, 160)


def test_trimming_leaves_20_ms_on_either_side_and_all_in_between() -> None:
    sound = np.concatenate((TONE, np.zeros(16_000, dtype=np.int16), TONE))
    trimmed = trim(padded(4000, 8000, sound=sound), -60)
    assert np.array_equal(trimmed, padded(160, 160, sound=sound))


@pytest.mark.parametrize("silence", [0, 80, 160])
def test_silence_as_short_as_the_margin_stays(silence: int) -> None:
    assert np.array_equal(trim(padded(silence, silence), -60), padded(silence, silence))


@pytest.mark.parametrize("samples", [0, 79, 8000])
def test_a_pause_that_is_a_prompt_stays_whole(samples: int) -> None:
    pause = np.zeros(samples, dtype=np.int16)
    assert silence_at_edges(pause, -60) == (samples, 0)
    assert np.array_equal(trim(pause, -60), pause)
