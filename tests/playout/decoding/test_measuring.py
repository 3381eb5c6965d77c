"""What `check` measures of a prompt, of sounds whose figures are known."""

from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio.pcm import Samples
from mediaserver.playout.decoding.measuring import Measurement, measure
from mediaserver.playout.decoding.options import Conditioning
from tests.sound import sine, write_wav


def measured(folder: Path, samples: Samples, conditioning: Conditioning | None = None) -> Measurement:
    write_wav(folder / "a.wav", samples)
    with (folder / "a.wav").open("rb") as file:
        return measure(folder / "a.wav", file, 60, "auto", conditioning or Conditioning())


def test_the_ends_and_the_steps_beside_them(tmp_path: Path) -> None:
    """A step that is farther than 20 ms from either end is none of them."""
    samples = np.zeros(800, np.int16)
    samples[[0, 1, 159, 160, 400, 640, 798, 799]] = 16384, 8192, 0, 12_000, 32_000, 0, -4096, -8192
    found = measured(tmp_path, samples)
    assert (found.first, found.last) == (0.5, -0.25)
    assert found.slope == 0.25
    samples[[160, 639]] = 0, -16384
    assert measured(tmp_path, samples).slope == 0.25
    samples[[639, 640]] = 0, -16384
    assert measured(tmp_path, samples).slope == 0.5
    samples[[159, 640]] = 16384, 0
    assert measured(tmp_path, samples).slope == 0.5


@pytest.mark.parametrize("samples", [0, 1, 800])
def test_silence_has_no_figures(tmp_path: Path, samples: int) -> None:
    found = measured(tmp_path, np.zeros(samples, np.int16))
    assert (found.first, found.last, found.slope, found.clipped_runs) == (0.0, 0.0, 0.0, 0)
    assert list(found.waveform) == [(0, 0)] * min(samples, 240)


def test_the_waveform_has_the_extremes_of_each_time_slice_in_percent(tmp_path: Path) -> None:
    samples = np.zeros(2400, np.int16)
    samples[[0, 9, 10, 2399]] = 32767, -16384, 3277, -32768
    waveform = list(measured(tmp_path, samples).waveform)
    assert len(waveform) == 240
    assert (waveform[0], waveform[1], waveform[2], waveform[-1]) == ((-50, 100), (0, 10), (0, 0), (-100, 0))


def test_a_file_of_the_telephone_s_own_rate_has_its_defects_too(tmp_path: Path) -> None:
    """Such a file is not resampled, where others are measured. Its figures are those of more than one block."""
    voice = (sine(1000, 3, 8000, 0.2) * 32767).astype(np.int16)
    voice[[12_000, 12_001, 12_002, 20_000, 20_001, 20_002]] = 32767
    found = measured(tmp_path, voice)
    assert found.clipped_runs == 2
    assert measured(tmp_path, np.concatenate((voice, np.full(3, 32767, np.int16)))).clipped_runs == 3  # at the end
    assert (found.offset, found.offset_removed) == (pytest.approx(0, abs=0.001), False)
    assert found.out_of_band == pytest.approx(0, abs=0.01)
    low = measured(tmp_path, (sine(100, 3, 8000, 0.2) * 32767).astype(np.int16))
    assert low.out_of_band == pytest.approx(1, abs=0.05)
    shifted = measured(tmp_path, (voice // 2 + 3277).astype(np.int16))
    assert (shifted.offset, shifted.offset_removed) == (pytest.approx(0.1, abs=0.002), True)


@pytest.mark.parametrize("trim", [False, True, -50.0])
def test_the_silence_at_the_ends_is_that_which_callers_hear(tmp_path: Path, trim: bool | float) -> None:
    sound = np.concatenate((np.zeros(4000), sine(1000, 1, 8000, 0.2), np.zeros(12_000))) * 32767
    found = measured(tmp_path, sound.astype(np.int16), Conditioning(trim_silence=trim))
    before, after = (0.5, 1.5) if trim is False else (0, 0)
    assert found.silence_before == pytest.approx(before, abs=0.05)
    assert found.silence_after == pytest.approx(after, abs=0.05)


def test_the_level_is_that_which_callers_hear_and_the_gain_what_led_to_it(tmp_path: Path) -> None:
    sound = (sine(1000, 1, 8000, 0.2) * 32767).astype(np.int16)
    found = measured(tmp_path, sound)
    assert (found.level, found.gain) == (pytest.approx(-17, abs=0.2), 0.0)
    assert found.first == sound[0] / 32768
    found = measured(tmp_path, sound, Conditioning(-23.0))
    assert (found.level, found.gain) == (pytest.approx(-23, abs=0.1), pytest.approx(-6, abs=0.2))
    assert max(high for _, high in found.waveform) == 10
