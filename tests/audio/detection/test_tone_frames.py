"""Frames as silence, call-progress tones, other tones, or none of these: the bounds of each kind."""

import numpy as np
import pytest

from mediaserver.audio.detection.tone_frames import FrameClassifier, FrameKind, ToneFrame
from mediaserver.audio.pcm import FRAME_SAMPLES
from tests.sound import sine

SILENT, PROGRESS, TONE, OTHER = FrameKind.SILENT, FrameKind.PROGRESS, FrameKind.TONE, FrameKind.OTHER


def tone(*hertz: float, dbfs: float = -20.0, seconds: float = 0.1) -> np.ndarray:
    """Tones of one level each; a sine of full scale has 0 dBFS."""
    return sum((sine(each, seconds, 8000, 10 ** (dbfs / 20)) for each in hertz), np.zeros(round(seconds * 8000)))


def noise(dbfs: float, seconds: float = 0.1) -> np.ndarray:
    rng = np.random.default_rng(1)
    return rng.normal(0, 10 ** (dbfs / 20) / np.sqrt(2), round(seconds * 8000))


def classified(*sounds: np.ndarray) -> list[ToneFrame]:
    """The kinds of all frames of sounds that follow each other."""
    classifier, samples = FrameClassifier(), np.concatenate(sounds)
    frames = np.rint(np.clip(samples, -1, 1) * 32767).astype(np.int16).reshape(-1, FRAME_SAMPLES)
    return [classifier.classify(frame) for frame in frames]


def last_of(*sounds: np.ndarray) -> ToneFrame:
    return classified(*sounds)[-1]


@pytest.mark.parametrize(
    ("hertz", "kind"),
    [
        ((350,), PROGRESS),
        ((440,), PROGRESS),
        ((620,), PROGRESS),
        ((350, 440), PROGRESS),
        ((480, 620), PROGRESS),
        ((750,), TONE),
        ((950,), TONE),
        ((200,), TONE),
        ((1100,), TONE),
        ((2100,), TONE),
        ((3800,), TONE),
        ((62.5,), OTHER),  # at the edges of the spectrum no frequency can be told
        ((3906.25,), OTHER),
        ((1000, 1500), OTHER),
        ((440, 1000), OTHER),
    ],
)
def test_what_sounds(hertz: tuple[float, ...], kind: FrameKind) -> None:
    found = last_of(tone(*hertz))
    assert found.kind is kind
    if kind is TONE:
        assert found.hz == pytest.approx(hertz[0], abs=1)
    elif kind is PROGRESS:
        assert found.hz == pytest.approx(sum(hertz) / len(hertz), abs=16)  # that of two tones beats
    else:
        assert found.hz == 0.0


@pytest.mark.parametrize("hertz", [1000.0, 1007.8, 1015.6, 1023.4, 1031.25])
def test_a_single_tone_has_its_frequency_wherever_it_lies_between_bins(hertz: float) -> None:
    assert last_of(tone(hertz)).hz == pytest.approx(hertz, abs=0.5)


@pytest.mark.parametrize(("dbfs", "kind"), [(-49.5, TONE), (-50.5, SILENT)])
def test_what_is_quiet_is_silence(dbfs: float, kind: FrameKind) -> None:
    assert last_of(tone(1000, dbfs=dbfs)).kind is kind


@pytest.mark.parametrize("hertz", [440, 1000])
@pytest.mark.parametrize(("below", "kind"), [(21, SILENT), (19, OTHER)])
def test_noise_far_below_the_last_tone_is_a_pause_of_it(hertz: float, below: float, kind: FrameKind) -> None:
    assert last_of(tone(hertz, dbfs=-10), noise(-10 - below)).kind is kind
    assert last_of(tone(hertz, dbfs=-30), noise(-10 - below)).kind is OTHER  # it is as loud as that tone


@pytest.mark.parametrize("hertz", [440, 1100])
@pytest.mark.parametrize(("snr", "is_tone"), [(13, True), (7, False)])
def test_a_tone_holds_nine_tenths_of_the_power(hertz: float, snr: float, is_tone: bool) -> None:
    found = last_of(tone(hertz, dbfs=-10) + noise(-10 - snr))
    assert (found.kind is not OTHER) is is_tone


def test_other_sound_does_not_raise_the_level_below_which_there_is_silence() -> None:
    assert last_of(noise(-5), noise(-40)).kind is OTHER


def test_streams_have_nothing_in_common() -> None:
    one, other = FrameClassifier(), FrameClassifier()
    loud = np.rint(tone(1000, dbfs=-1) * 32767).astype(np.int16)[:FRAME_SAMPLES]
    faint = np.rint(tone(1000, dbfs=-40) * 32767).astype(np.int16)[:FRAME_SAMPLES]
    for _ in range(3):
        one.classify(loud)
        found = other.classify(faint)
    assert found.kind is TONE
