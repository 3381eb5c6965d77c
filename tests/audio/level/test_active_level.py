"""Active speech levels of signals whose level is known by arithmetic, or by a meter written apart from ours."""

import numpy as np
import pytest

from mediaserver.audio.level.active_level import _ActivityCounter, _envelope_response, active_level
from tests.audio import p56
from tests.audio.measure import sine16
from tests.sound import speechlike


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * 8000), dtype=np.int16)


def bursts(level: float, on: float, off: float, times: int, seed: int = 1) -> np.ndarray:
    """Noise of `level` dBov for `on` seconds, `times` times, each before a pause of `off` seconds."""
    noise = np.random.default_rng(seed).normal(0, 32768 * 10 ** (level / 20), (times, round(on * 8000)))
    pause = np.zeros((times, round(off * 8000)))
    return np.concatenate((noise, pause), axis=1).reshape(-1).clip(-32768, 32767).astype(np.int16)


def test_a_steady_sine_has_the_level_of_its_power() -> None:
    assert active_level(sine16(1000, 32767, 10)) == pytest.approx(-3.01, abs=0.05)


@pytest.mark.parametrize("pause", [0, 1, 5])
def test_silence_at_the_ends_does_not_count(pause: float) -> None:
    tone = np.concatenate((silence(pause), sine16(700, 2000, 8), silence(pause)))
    assert active_level(tone) == pytest.approx(-27.3, abs=0.15)  # -0.1 by 0.2 s of hangover


def test_long_pauses_do_not_count_but_for_the_hangover_and_short_ones_do() -> None:
    steady = active_level(bursts(-30, 10, 0, 1))
    assert steady == pytest.approx(-30, abs=0.1)
    hung = 10 * np.log10(2 / 2.25)  # of each burst of 2 s, some 0.25 s of hangover and decay are active, too
    assert active_level(bursts(-30, 2, 3, 5)) - steady == pytest.approx(hung, abs=0.15)
    assert active_level(bursts(-30, 0.5, 0.1, 20)) - steady == pytest.approx(10 * np.log10(0.5 / 0.6), abs=0.15)


@pytest.mark.parametrize("gain", [0.5, 0.1, 0.02])
def test_the_level_follows_the_gain(gain: float) -> None:
    voice = speechlike(40_000)
    softer = np.rint(voice * gain).astype(np.int16)
    assert active_level(softer) - active_level(voice) == pytest.approx(20 * np.log10(gain), abs=0.2)


@pytest.mark.parametrize("samples", [300, 8000, 27_968, 27_969, 60_000])  # a block has 27 968 samples
@pytest.mark.parametrize("level", [-12, -38])
def test_it_agrees_with_the_recommendation_sample_by_sample(samples: int, level: float) -> None:
    sound = bursts(level, 0.9, 0.6, 5, seed=samples)[:samples]
    assert active_level(sound) == pytest.approx(p56.active_level(sound), abs=0.02)


def test_the_envelope_of_an_impulse_is_that_of_the_recommendation_s_recursion() -> None:
    g, p, q, response = np.exp(-1 / 240), 0.0, 0.0, []  # a time constant of 30 ms
    for magnitude in [1.0] + 8000 * [0.0]:
        p = g * p + (1 - g) * magnitude
        q = g * q + (1 - g) * p
        response.append(q)
    ours = _envelope_response()
    assert ours == pytest.approx(response[: len(ours)], rel=1e-9)
    assert sum(response[len(ours) :]) < 1e-6  # what is left out


@pytest.mark.parametrize("gain", range(6))
@pytest.mark.parametrize("pause", [0.05, 0.3, 2])
def test_it_agrees_with_the_recommendation_wherever_the_level_is_between_two_thresholds(
    gain: float, pause: float
) -> None:
    """The thresholds are 6 dB apart."""
    sound = bursts(-20 - gain, 0.8, pause, 2)
    assert active_level(sound) == pytest.approx(p56.active_level(sound), abs=0.002)


def test_pauses_are_counted_alike_within_a_block_and_across_blocks() -> None:
    """Of 6 samples above the threshold there is a pause of 7 samples, and after the last one the hangover."""
    envelope = np.array([0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 0], dtype=float)
    for cut in range(1, len(envelope)):
        counter = _ActivityCounter(1.0)
        for start, block in ((0, envelope[:cut]), (cut, envelope[cut:])):
            if block.any():
                counter.feed(block, start, len(block))
        assert counter.finish(len(envelope)) == 6 + 7 + 1, cut


def test_what_has_no_level_reads_as_silence() -> None:
    for nothing in (silence(0), silence(1), sine16(1000, 2, 1), sine16(1000, 30_000, 0.01)):
        assert active_level(nothing) == -100.0


def test_a_sound_that_is_repeated_has_the_level_of_one_pass() -> None:
    sound = bursts(-26, 1, 1, 3)
    assert active_level(np.tile(sound, 6)) == pytest.approx(active_level(sound), abs=0.1)
