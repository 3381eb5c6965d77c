"""Finds where recorded sound begins and ends, and removes most of the silence before and after it."""

import numpy as np

from mediaserver.audio.pcm import FULL_SCALE, SAMPLE_RATE, Samples

MARGIN = SAMPLE_RATE // 50  # samples of silence that trimming leaves on either side: 20 ms
BELOW_LEVEL = 40.0  # dB below a sound's active level at which silence begins: 10 dB below the softest consonants
_FRAME = SAMPLE_RATE // 100  # number of samples that are judged together as silence or sound: 10 ms
_FRAMES_TOGETHER = 1000  # number of 10 ms frames that are computed together


def silence_at_edges(samples: Samples, threshold: float) -> tuple[int, int]:
    """How many 16-bit samples, shape (n,), are silent before and after the sound; (n, 0) if all are silent.

    A frame of 10 ms is silent if its power is at most `threshold` dBov.
    """
    power = FULL_SCALE**2 * 10 ** (threshold / 10)
    before = _leading_silence(samples, power)
    return (before, _leading_silence(samples[::-1], power) if before < len(samples) else 0)


def trim(samples: Samples, threshold: float) -> Samples:
    """The sound with at most 30 ms of silence left on either side; sound that is all silent stays whole."""
    before, after = silence_at_edges(samples, threshold)
    if before == len(samples):
        return samples
    return samples[max(0, before - MARGIN) : len(samples) - max(0, after - MARGIN)]


def _leading_silence(samples: Samples, power: float) -> int:
    step = _FRAME * _FRAMES_TOGETHER
    for start in range(0, len(samples), step):
        block = samples[start : start + step].astype(np.float64)
        whole = len(block) - len(block) % _FRAME
        frames = block[:whole].reshape(-1, _FRAME)
        loud = np.flatnonzero(np.einsum("ij,ij->i", frames, frames) > power * _FRAME)
        if len(loud):
            return start + int(loud[0]) * _FRAME
        rest = block[whole:]
        if float(np.dot(rest, rest)) > power * len(rest):
            return start + whole
    return len(samples)
