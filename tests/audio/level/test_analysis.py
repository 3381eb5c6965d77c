"""What `Analyser` reports of the audio it is fed."""

import tracemalloc

import numpy as np
import pytest

from mediaserver.audio.level.analysis import Analyser
from mediaserver.audio.level.levels import CLIPPED
from mediaserver.audio.pcm import quantize, to_bytes
from tests.sound import sine, voice

VOICE = to_bytes(voice(8000))
QUIET = bytes(320)


def test_a_sine_at_half_of_full_scale() -> None:
    analyser = Analyser()
    analyser.feed(to_bytes(quantize(sine(1000, 2.5, 8000))))
    report = analyser.report()
    assert (report["from_s"], report["to_s"], report["heard_s"]) == (0.0, 2.5, 2.5)
    assert (report["rms_dbfs"], report["peak_dbfs"]) == (-6.0, -6.0)
    assert report["level_dbm0"] == pytest.approx(-6.0 + 3.2, abs=0.1)
    assert report["clipped_samples"] == 0


def test_a_report_without_audio_reads_minus_100_db_and_zeros() -> None:
    report = Analyser().report()
    assert (report["rms_dbfs"], report["peak_dbfs"], report["speech_ratio"]) == (-100.0, -100.0, 0.0)
    assert (report["heard_s"], report["speech_s"], report["talk_spurts"], report["digits"]) == (0.0, 0.0, 0, "")


def test_speech_is_counted_in_seconds_and_talkspurts() -> None:
    analyser = Analyser()
    for _ in range(2):
        for at in range(0, len(VOICE), 320):
            analyser.feed(VOICE[at : at + 320])
        assert analyser.speaking
        assert analyser.silence_s == 0.0
        for _ in range(50):
            analyser.feed(QUIET)
        assert not analyser.speaking
        assert analyser.silence_s == pytest.approx(0.6, abs=0.05)  # the end is certain after 400 ms
        assert analyser.last_talkspurt_s == pytest.approx(1.34, abs=0.05)
    report = analyser.report()
    assert report["talk_spurts"] == 2
    assert report["speech_s"] == pytest.approx(2.7, abs=0.1)
    assert report["speech_ratio"] == pytest.approx(report["speech_s"] / 4, abs=0.002)


def test_within_a_talkspurt_the_length_of_the_last_one_reads_zero() -> None:
    analyser = Analyser()
    for data in (VOICE, QUIET * 50):
        for at in range(0, len(data), 320):
            analyser.feed(data[at : at + 320])
    assert analyser.last_talkspurt_s > 0
    for at in range(0, 3200, 320):
        analyser.feed(VOICE[at : at + 320])
    assert analyser.speaking
    assert analyser.last_talkspurt_s == 0.0


def test_samples_from_the_loudest_of_mulaw_on_count_as_clipped() -> None:
    analyser = Analyser()
    analyser.feed(to_bytes(np.array([CLIPPED, -CLIPPED, CLIPPED - 1, 1 - CLIPPED, 32767, -32768], dtype=np.int16)))
    report = analyser.report()
    assert report["clipped_samples"] == 4
    assert report["peak_dbfs"] == 0.0


def test_each_report_covers_the_audio_since_the_last_one() -> None:
    analyser = Analyser()
    loud = to_bytes(np.full(12_000, 32767, dtype=np.int16))
    analyser.feed(loud)
    analyser.digits += "12"
    first = analyser.report()
    assert (first["clipped_samples"], first["digits"], first["to_s"]) == (12_000, "12", 1.5)
    for _ in range(100):
        analyser.feed(QUIET)
    second = analyser.report()
    assert (second["from_s"], second["to_s"], second["heard_s"]) == (1.5, 3.5, 2.0)
    assert (second["rms_dbfs"], second["peak_dbfs"]) == (-100.0, -100.0)
    assert (second["clipped_samples"], second["talk_spurts"], second["digits"]) == (0, 0, "")
    assert second["speech_ratio"] <= second["speech_s"] / 2.0 + 0.001


def test_power_is_the_mean_over_all_blocks() -> None:
    analyser = Analyser()
    for peak in (0.5, 0.0, 0.0, 0.5):  # a second each
        analyser.feed(to_bytes(quantize(sine(500, 1.0, 8000, peak))))
    assert analyser.report()["rms_dbfs"] == -9.0  # half the power of a sine of half of full scale


def test_a_new_analyser_is_not_speaking() -> None:
    analyser = Analyser()
    assert (analyser.seconds, analyser.silence_s, analyser.last_talkspurt_s, analyser.speaking) == (
        0.0,
        0.0,
        0.0,
        False,
    )
    analyser.feed(QUIET * 5)
    assert (analyser.seconds, analyser.silence_s, analyser.last_talkspurt_s) == (0.1, 0.1, 0.0)


@pytest.mark.parametrize(("samples", "seconds"), [(3, 0.0), (5, 0.001), (8001, 1.0)])
def test_seconds_are_told_to_the_millisecond(samples: int, seconds: float) -> None:
    analyser = Analyser()
    analyser.feed(bytes(2 * samples))
    assert analyser.seconds == seconds


def test_levels_are_told_to_a_tenth_of_a_decibel_from_the_first_sample_on() -> None:
    analyser = Analyser()
    analyser.feed(to_bytes(np.array([20_000], dtype=np.int16)))
    report = analyser.report()
    assert (report["peak_dbfs"], report["rms_dbfs"]) == (-4.3, -1.3)  # a constant has twice the power of a sine
    assert report["level_dbm0"] == 1.9


def test_the_ratio_of_speech_is_told_to_a_thousandth() -> None:
    analyser = Analyser()
    analyser.feed(VOICE[: 320 * 30])
    assert analyser.report()["speech_ratio"] == 0.933  # 28 frames of 30: two begin it


@pytest.mark.parametrize(("sensitivity", "seconds"), [((0,), 0.98), ((2,), 0.96), ((3,), 0.94), ((), 0.96)])
def test_sensitivity_is_the_mode_of_the_vad(sensitivity: tuple[int], seconds: float) -> None:
    analyser = Analyser(*sensitivity)
    analyser.feed(VOICE)
    assert analyser.report()["speech_s"] == seconds


def test_a_dtmf_tone_is_not_speech() -> None:
    analyser = Analyser()
    analyser.feed(VOICE, tone=True)
    assert (analyser.speaking, analyser.report()["speech_s"]) == (False, 0.0)


def test_speech_across_reports_counts_in_each_of_them() -> None:
    analyser = Analyser()
    spoken = []
    for _ in range(2):
        analyser.feed(VOICE)
        report = analyser.report()
        spoken.append((report["speech_s"], report["speech_ratio"], report["talk_spurts"]))
    assert spoken == [(0.96, 0.96, 1), (1.0, 1.0, 0)]


def test_clipping_is_counted_over_all_blocks_and_no_block_is_kept() -> None:
    analyser, second = Analyser(), to_bytes(np.full(8000, 32767, dtype=np.int16))
    analyser.feed(second)
    tracemalloc.start()
    for _ in range(20):
        analyser.feed(second)
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < len(second) * 2
    assert analyser.report()["clipped_samples"] == 21 * 8000
