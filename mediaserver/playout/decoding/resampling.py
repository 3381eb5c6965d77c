"""Resamples decoded sound to 8 kHz, block by block."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from mediaserver.audio.level.defects import SourceMeter
from mediaserver.audio.pcm import SAMPLE_RATE, quantize, to_bytes

Resample = Callable[[Iterable[NDArray[Any]], int], Iterator[bytes]]


def resample(signals: Iterable[NDArray[Any]], rate: int) -> Iterator[bytes]:
    """Resample blocks of samples, each of shape (n,), ±1.0 full scale, from `rate` Hz to 16-bit PCM at 8 kHz.

    soxr is used instead of pydub, because soxr's quality "VHQ" keeps aliases and images below -120 dB, while pydub
    interpolates linearly.
    """
    if rate == SAMPLE_RATE:
        yield from (to_bytes(quantize(signal)) for signal in signals)
        return
    stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float64", quality="VHQ")
    for signal in signals:
        yield to_bytes(quantize(stream.resample_chunk(signal.astype(np.float64, copy=False))))
    yield to_bytes(quantize(stream.resample_chunk(np.zeros(0), last=True)))


def metered(meter: SourceMeter) -> Resample:
    """A function like `resample`, which also has `meter` measure each block before it is resampled."""
    return lambda signals, rate: resample(meter.watch(signals, rate), rate)
