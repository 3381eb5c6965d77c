"""The fade of 5 ms: its shape, and what is left of the frame."""

import math

import numpy as np
import pytest

from mediaserver.audio.fade import FADE_SAMPLES, fade_out
from mediaserver.audio.pcm import from_bytes, to_bytes


@pytest.mark.parametrize("peak", [32767, 1000, 1, 0, -1, -1000, -32768])
def test_a_raised_cosine_of_40_samples_and_then_silence(peak):
    faded = from_bytes(fade_out(to_bytes(np.full(160, peak, np.int16))))
    right = [peak * (1 + math.cos(math.pi * n / 40)) / 2 for n in range(1, 41)]
    assert FADE_SAMPLES == 40
    assert abs(faded[:40] - right).max() <= 0.5 + abs(peak) / 65536
    assert faded[39] == 0
    assert len(faded) == 160
    assert not faded[40:].any()
