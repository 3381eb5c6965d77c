"""What a frame tells for speech and against it, by what was measured of it."""

from typing import Any

import pytest

from mediaserver.audio.detection.spectrum import LONGEST_PERIOD, SHORTEST_PERIOD
from mediaserver.audio.detection.speech_evidence import AGAINST, FADING, evidence_of, without_noise

VOWEL: dict[str, Any] = {
    "bands": 8,
    "share": 1.0,
    "change": 0.6,
    "periodicity": 0.97,
    "period": 60,
    "period_before": 60,
    "concentration": 0.6,
    "known": 1.0,
}


def evidence(**figures: float) -> float:
    return evidence_of(**(VOWEL | figures))


def test_a_vowel_is_evidence_of_1_or_more_but_of_no_more_than_1_2() -> None:
    assert evidence(change=0.46) == pytest.approx(1)
    assert evidence(change=0.9) == 1.2


@pytest.mark.parametrize(("change", "gained"), [(0.35, 0.5), (0.24, 0.0), (0.13, -0.5), (0.0, -AGAINST)])
def test_the_less_its_spectrum_changes_the_less_evidence_it_is(change: float, gained: float) -> None:
    assert evidence(change=change) == pytest.approx(gained, abs=0.01)


def test_what_is_less_periodic_than_one_voice_must_change_more() -> None:
    gained = [evidence(change=0.4, periodicity=periodicity) for periodicity in (0.6, 0.78, 0.86, 0.95, 1.0)]
    assert gained == sorted(gained)
    assert gained[0] == gained[1] < 0 < gained[2] < gained[3] == gained[4]


@pytest.mark.parametrize(
    ("period", "before", "gained"),
    [(60, 0, 1.2), (60, 54, 1.2), (54, 60, 1.2), (60, 53, 0.6), (53, 60, 0.6), (60, 30, 0.6)],
)
def test_a_pitch_that_jumps_is_less_evidence(period: int, before: int, gained: float) -> None:
    assert evidence(change=0.9, period=period, period_before=before) == pytest.approx(gained)
    assert evidence(change=0.0, period=period, period_before=before) == -AGAINST


@pytest.mark.parametrize("period", [SHORTEST_PERIOD, LONGEST_PERIOD])
def test_what_has_no_period_of_a_voice_is_not_voiced(period: int) -> None:
    assert evidence(period=period) == -FADING
    assert evidence(period=period, change=0.2) == -AGAINST


def test_a_tone_is_no_voice() -> None:
    assert evidence(concentration=0.98, change=0.4) == -FADING
    assert evidence(concentration=0.98, change=0.2) == -AGAINST


def test_a_consonant_without_voice_is_evidence_at_the_beginning_alone() -> None:
    hiss = {"periodicity": 0.3, "change": 0.7}
    assert evidence(**hiss, known=0.0) == 0.6
    assert evidence(**hiss, known=0.7) == -FADING
    for less in ({"bands": 4}, {"share": 0.7}, {"change": 0.45}):
        assert evidence(**hiss | less, known=0.0) == -FADING


def test_noise_in_other_bands_makes_a_voice_no_less_periodic() -> None:
    assert without_noise(0.9, 1.0) == 0.9
    assert without_noise(0.8, 0.8) == pytest.approx(0.912)
