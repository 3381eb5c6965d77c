"""Tones of networks and fax machines, made by plain sines, and what is none of them."""

from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio import g711
from mediaserver.audio.detection.call_progress import ToneDetector
from mediaserver.audio.pcm import Samples, Signal, to_bytes
from tests.project import ROOT
from tests.sound import read_wav, speechlike, voice

Burst = tuple[tuple[float, ...], float]  # frequencies in Hz, and milliseconds
SIT: list[Burst] = [((950,), 330), ((1400,), 330), ((1800,), 330), ((), 1000)]
CADENCES: dict[str, tuple[str, list[Burst]]] = {
    # name: what it is, and its cadence by ITU-T E.180's Supplement 2 and by T.30
    "us busy": ("busy", [((480, 620), 500), ((), 500)]),
    "us congestion": ("congestion", [((480, 620), 250), ((), 250)]),
    "us ringback": ("ringback", [((440, 480), 2000), ((), 4000)]),
    "uk busy": ("busy", [((400,), 375), ((), 375)]),
    "uk congestion": ("congestion", [((400,), 400), ((), 350), ((400,), 225), ((), 525)]),
    "uk ringback": ("ringback", [((400, 450), 400), ((), 200), ((400, 450), 400), ((), 2000)]),
    "de busy": ("busy", [((425,), 480), ((), 480)]),
    "de congestion": ("congestion", [((425,), 240), ((), 240)]),
    "de ringback": ("ringback", [((425,), 1000), ((), 4000)]),
    "fr ringback": ("ringback", [((440,), 1500), ((), 3500)]),
    "kr congestion": ("congestion", [((480, 620), 300), ((), 200)]),
    "sit": ("sit", SIT),
    "sit, reorder": ("sit", [((913.8,), 274), ((1370.6,), 274), ((1776.7,), 380), ((), 1000)]),
    "fax-cng": ("fax-cng", [((1100,), 500), ((), 3000)]),
    "fax-ced": ("fax-ced", [((2100,), 3000), ((), 20_000)]),
}
# At most so many milliseconds after it began, a tone is told.
SOONEST = {"busy": 2200, "congestion": 1700, "ringback": 6200, "sit": 1000, "fax-cng": 1000, "fax-ced": 1100}


def sound(cadence: list[Burst], seconds: float, dbfs: float = -15.0, detune: float = 1.0) -> Signal:
    """A cadence that is repeated, without ramps, in 16-bit steps; `dbfs` is relative to a full-scale sine."""
    parts = []
    for frequencies, ms in cadence:
        at = np.arange(round(ms * 8)) / 8000
        peak = 32_767 * 10 ** (dbfs / 20) / max(1, len(frequencies)) ** 0.5
        parts.append(sum((peak * np.sin(2 * np.pi * detune * hz * at) for hz in frequencies), np.zeros(len(at))))
    once = np.concatenate(parts)
    return np.tile(once, int(seconds * 8000 // len(once)) + 1)[: round(seconds * 8000)]


def quiet(ms: float) -> Signal:
    return np.zeros(round(ms * 8))


def samples(signal: Signal) -> Samples:
    return np.clip(np.rint(signal), -32_768, 32_767).astype(np.int16)


def found(signal: Signal, size: int = 320) -> list[tuple[str, int]]:
    detector, pcm = ToneDetector(), to_bytes(samples(signal))
    return [(str(tone), at) for n in range(0, len(pcm), size) for tone, at in detector.feed(pcm[n : n + size])]


@pytest.mark.parametrize("name", CADENCES)
@pytest.mark.parametrize("dbfs", [-6.0, -30.0])
def test_a_tone_is_told_once_and_soon_with_when_it_began(name: str, dbfs: float) -> None:
    tone, cadence = CADENCES[name]
    signal = np.concatenate((quiet(730), sound(cadence, 20, dbfs)))
    ((told, at_ms),) = found(signal)
    assert told == tone
    assert at_ms == pytest.approx(730, abs=20)
    assert found(signal[: (730 + SOONEST[tone]) * 8]) == [(told, at_ms)]
    assert found(signal[: (730 + 180) * 8]) == []


@pytest.mark.parametrize("name", CADENCES)
def test_it_is_told_through_g711_noise_and_a_gateway_that_is_half_a_percent_off(name: str) -> None:
    tone, cadence = CADENCES[name]
    rng = np.random.default_rng(1)
    signal = np.concatenate((quiet(500), sound(cadence, 20, -20.0, 1.005)))
    heard = g711.mulaw_decode(g711.mulaw_encode(samples(signal + rng.normal(0, 30, len(signal)))))
    assert [told for told, _ in found(heard.astype(float))] == [tone]


@pytest.mark.parametrize("begins", [0, 2, 8, 12, 14])
def test_short_bursts_are_told_wherever_they_begin_in_a_frame(begins: float) -> None:
    """The frames at their edges hold some of the burst and some of the pause, and count as well."""
    signal = np.concatenate((quiet(730 + begins), sound([((425,), 175), ((), 175)], 8)))
    assert [told for told, _ in found(signal)] == ["congestion"]


@pytest.mark.parametrize(("seconds", "times"), [(5.98, 1), (6, 2)])
def test_a_tone_is_over_after_six_seconds_of_silence(seconds: float, times: int) -> None:
    busy = sound(CADENCES["us busy"][1], 4.5)  # which ends with a burst
    told = found(np.concatenate((quiet(500), busy, quiet(1000 * seconds), busy)))
    assert [tone for tone, _ in told] == ["busy"] * times


@pytest.mark.parametrize("name", ["us busy", "de congestion", "us ringback", "uk ringback"])
def test_where_one_comes_in_the_middle_of_a_tone_it_is_told_all_the_same(name: str) -> None:
    tone, cadence = CADENCES[name]
    period = round(sum(ms for _, ms in cadence) * 8)
    for offset in range(0, period, period // 7):
        assert [told for told, _ in found(sound(cadence, 24)[offset:])] == [tone], offset


def test_a_modem_that_reverses_its_phase_is_heard_as_well() -> None:
    at = np.arange(3300 * 8) / 8000
    ansam = (
        np.sin(2 * np.pi * 2100 * at) * np.where(at // 0.45 % 2, 1, -1) * (1 + 0.2 * np.sin(2 * np.pi * 15 * at))
    )
    assert found(np.concatenate((quiet(300), 4000 * ansam, quiet(500)))) == [("fax-ced", 300)]


def test_each_occurrence_is_told() -> None:
    busy, ringback = sound(CADENCES["us busy"][1], 5), sound(CADENCES["us ringback"][1], 12)
    told = found(np.concatenate((ringback, busy, quiet(6500), busy, voice(8000), quiet(500), busy)))
    assert [tone for tone, _ in told] == ["ringback", "busy", "busy", "busy"]
    assert told[2][1] == pytest.approx(12_000 + 5000 + 6500, abs=20)


def test_it_does_not_matter_how_audio_is_cut() -> None:
    signal = np.concatenate((quiet(100), sound(CADENCES["de busy"][1], 4)))
    assert found(signal, 6) == found(signal, 4096) == found(signal) != []


@pytest.mark.parametrize(
    "cadence",
    [
        [((440,), 300), ((), 9700)],  # call waiting
        [((425,), 200), ((), 200), ((425,), 200), ((), 5000)],
        [((350, 440), 20_000)],  # dial tone
        [((1400,), 500), ((), 14_500)],  # of a recorder
        [((1004,), 20_000)],
        [((1100,), 2000), ((), 3000)],
        [((1100,), 200), ((), 3000)],
        [((1175,), 500), ((), 3000)],
        [((2100,), 500), ((), 500)],
        [((440,), 700), ((), 20_000)],  # the beep of a voicemail
        [((697, 1209), 100), ((), 100)],  # a key
        [((480, 620), 500), ((), 200)],
        [((480, 620), 500), ((1004,), 500)],  # a busy tone whose pauses are another tone
        [((400,), 500), ((), 500), ((600,), 500), ((), 500)],  # bursts of two pitches
        [((1800,), 20_000)],  # the last tone of the SIT alone
        [((950,), 330), ((1400,), 330), ((2000,), 330), ((), 1000)],  # a SIT with another last tone
    ],
)
def test_other_tones_are_none_of_these(cadence: list[Burst]) -> None:
    assert found(np.concatenate((quiet(500), sound(cadence, 20)))) == []


@pytest.mark.parametrize("file", sorted((ROOT / "prompts").rglob("*.wav")), ids=lambda file: file.stem)
def test_the_shipped_prompts_and_music_have_no_tone(file: Path) -> None:
    heard = read_wav(file).astype(float)
    assert found(np.tile(heard, 2)) == []
    assert found(heard / 8 + np.random.default_rng(2).normal(0, 40, len(heard))) == []


@pytest.mark.parametrize("pitch", [90, 120, 180, 250, 330])
def test_voices_have_no_tone_whatever_their_rhythm(pitch: float) -> None:
    words = [
        np.concatenate((voice(round(ms * 8), pitch), quiet(ms))) for ms in (240, 375, 500, 1000) for _ in range(5)
    ]
    assert found(np.concatenate([voice(40_000, pitch).astype(float), *words])) == []


def test_noise_and_silence_have_no_tone() -> None:
    assert found(speechlike(80_000).astype(float)) == []
    assert found(quiet(20_000)) == []
