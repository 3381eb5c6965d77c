"""The WAV stream for browsers: the same sound at 48 kHz, in stereo, with 384 kB for each second."""

import struct

import numpy as np
import pytest

from mediaserver.audio.containers import wav
from mediaserver.audio.containers.browser_wav import HEADER, RATE, BrowserWav
from mediaserver.audio.pcm import to_bytes

SECONDS = np.arange(8000) / 8000
TONES = [(8000 * np.sin(2 * np.pi * f * SECONDS)).astype(np.int16) for f in (400, 1000)]


def test_the_header_says_what_comes() -> None:
    assert struct.unpack("<HHIIHH", HEADER[20:36]) == (wav.PCM, 2, 48_000, 384_000, 8, 32)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_sound_is_the_same_in_each_channel(channels: int) -> None:
    pcm = to_bytes(np.column_stack(TONES[:channels]).reshape(-1))
    converter = BrowserWav(channels)
    pieces = [converter.feed(pcm[at : at + 1000]) for at in range(0, len(pcm), 1000)]  # no whole number of frames
    samples = np.frombuffer(b"".join(pieces), dtype="<i4").reshape(-1, 2) / 65_536
    assert len(samples) == RATE
    delay = RATE * 2 // 1000  # of the resampler: 2 ms
    times = np.arange(RATE) / RATE
    for side, frequency in enumerate((400, 1000) if channels == 2 else (400, 400)):
        expected = 8000 * np.sin(2 * np.pi * frequency * times)
        error = samples[2 * delay :, side] - expected[delay:-delay]
        assert np.sqrt(np.mean(error**2)) < 8000 / 500  # some 50 dB below
