"""Levels of signals whose level is known by arithmetic."""

import math

import numpy as np
import pytest

from mediaserver.audio import g711
from mediaserver.audio.level import levels
from tests.audio.measure import MILLIWATT_RMS, sine16

NOTHING = np.zeros(0, dtype=np.int16)


def test_a_full_scale_sine_reads_0_dbfs_by_peak_and_by_rms():
    tone = sine16(1000, 32768, 1)
    assert levels.peak_dbfs(tone) == pytest.approx(0, abs=0.001)
    assert levels.rms_dbfs(tone) == pytest.approx(0, abs=0.001)


def test_half_the_amplitude_is_6_db_less():
    tone = sine16(1000, 16384, 1)
    assert levels.peak_dbfs(tone) == pytest.approx(-6.02, abs=0.01)
    assert levels.rms_dbfs(tone) == pytest.approx(-6.02, abs=0.01)


def test_a_full_scale_square_has_3_db_more_power_than_the_sine():
    assert levels.rms_dbfs(np.tile(np.array([-32768, 32767], dtype=np.int16), 400)) == pytest.approx(
        3.01, abs=0.01
    )


def test_the_peak_of_the_most_negative_sample_is_full_scale():
    assert levels.peak_dbfs(np.array([0, -32768], dtype=np.int16)) == 0


@pytest.mark.parametrize("samples", [NOTHING, np.zeros(800, dtype=np.int16)], ids=["nothing", "silence"])
def test_silence_reads_minus_100_db(samples):
    assert levels.peak_dbfs(samples) == levels.rms_dbfs(samples) == levels.loudness_lufs(samples) == -100


def test_a_0_dbm0_sine_reads_minus_3_2_dbfs():
    tone = sine16(1004, levels.peak_of_dbm0(0) * 32768, 1)
    assert levels.rms_dbfs(tone) == pytest.approx(-3.2, abs=0.1)


@pytest.mark.parametrize(
    "milliwatt",
    [
        g711.mulaw_decode(bytes.fromhex("1e0b0b1e9e8b8b9e")),  # G.711, tables 5 and 6: 1 kHz at 0 dBm0
        g711.alaw_decode(bytes.fromhex("34212134b4a1a1b4")),
    ],
    ids=["mulaw", "alaw"],
)
def test_the_digital_milliwatt_of_g711_is_0_dbm0(milliwatt):
    rms = np.sqrt(np.mean(milliwatt.astype(float) ** 2))
    assert rms == pytest.approx(levels.rms_of_dbm0(0) * 32768, rel=0.01)
    assert levels.rms_dbfs(milliwatt) == pytest.approx(-3.2, abs=0.1)


def test_dbm0_is_a_peak_for_sines_and_an_rms_for_anything():
    assert levels.rms_of_dbm0(0) * 32768 == pytest.approx(MILLIWATT_RMS, rel=0.001)
    assert levels.peak_of_dbm0(-10) == pytest.approx(levels.rms_of_dbm0(-10) * math.sqrt(2))
    assert levels.peak_of_dbm0(-20) == pytest.approx(levels.peak_of_dbm0(0) / 10)
    assert levels.peak_of_dbm0(3.17) * 32768 == pytest.approx(8159 * 4)  # the overload point of µ-law


def test_a_full_scale_997_hz_sine_in_mono_reads_minus_3_01_lufs():
    assert levels.loudness_lufs(sine16(997, 32768, 10)) == pytest.approx(-3.01, abs=0.1)


def k_weighting_db(hz):
    """BS.1770-4, annex 1: the gain at `hz` of the two filters whose coefficients it tables for 48 kHz."""
    z = np.exp(-2j * np.pi * hz / 48000)
    shelf = (1.53512485958697 - 2.69169618940638 * z + 1.19839281085285 * z**2) / (
        1 - 1.69065929318241 * z + 0.73248077421585 * z**2
    )
    high_pass = (1 - 2 * z + z**2) / (1 - 1.99004745483398 * z + 0.99007225036621 * z**2)
    return 20 * math.log10(abs(shelf * high_pass))


@pytest.mark.parametrize("hz", [2.5, 50, 100, 300, 1000, 2000, 3000, 3400, 3997.5])
def test_loudness_weighs_frequencies_as_bs1770_does(hz):
    expected = -0.691 - 3.01 + k_weighting_db(hz)
    assert levels.loudness_lufs(sine16(hz, 32767, 5)) == pytest.approx(expected, abs=0.1)


SPEECH = sine16(1000, 3277, 30)  # -20 dBFS


@pytest.mark.parametrize(
    "around",
    [np.zeros(20 * 8000, dtype=np.int16), sine16(1000, 3, 20), sine16(1000, 104, 20)],
    ids=["digital silence", "below -70 LUFS: the absolute gate", "30 dB down: the relative gate"],
)
def test_silence_around_a_signal_does_not_lower_its_loudness(around):
    padded = np.concatenate((around, SPEECH, around))
    assert levels.loudness_lufs(padded) == pytest.approx(levels.loudness_lufs(SPEECH), abs=0.1)


def test_audio_below_the_absolute_gate_has_no_loudness():
    assert levels.loudness_lufs(sine16(1000, 16, 5)) == pytest.approx(-69.2, abs=0.2)
    assert levels.loudness_lufs(sine16(1000, 13, 5)) == -100  # 1.8 dB further down


def test_quiet_passages_within_10_db_do_count():
    quieter = sine16(1000, 1638, 30)  # 6 dB down
    both = levels.loudness_lufs(np.concatenate((SPEECH, quieter)))
    assert both == pytest.approx(levels.loudness_lufs(SPEECH) + 10 * math.log10((1 + 0.25) / 2), abs=0.1)


@pytest.mark.parametrize(("down", "counts"), [(9.6, True), (10.2, False)])
def test_the_relative_gate_is_10_db_below_the_mean(down, counts):
    """The mean is of both passages: that of the loud one is 1, that of the other `quiet`."""
    of_mean = 10 ** (-down / 10)
    quiet = of_mean / (2 - of_mean)
    both = np.concatenate((SPEECH, sine16(1000, 3277 * math.sqrt(quiet), 30)))
    expected = 10 * math.log10((1 + quiet) / 2) if counts else 0
    assert levels.loudness_lufs(both) - levels.loudness_lufs(SPEECH) == pytest.approx(expected, abs=0.1)


def test_a_signal_shorter_than_a_block_counts_as_one_block():
    assert levels.loudness_lufs(sine16(1000, 32767, 0.2)) == pytest.approx(
        levels.loudness_lufs(sine16(1000, 32767, 0.4)) - 3.01, abs=0.1
    )
