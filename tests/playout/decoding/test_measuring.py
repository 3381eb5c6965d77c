"""What `check` measures of a prompt, of sounds whose figures are known."""

from pathlib import Path

import numpy as np
import pytest

from mediaserver.audio.pcm import Samples
from mediaserver.playout.decoding.measuring import Measurement, measure
from mediaserver.playout.decoding.options import Conditioning
from tests.sound import write_wav


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
