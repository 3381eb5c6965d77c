"""Guesses how the bytes of a file without a header are encoded, to tell when they are read in a wrong way.

In sound, each sample is like the one before; bytes that are read in a wrong way are noise. The correlation of
neighbouring samples therefore tells the right way from the wrong ones. Codes of one byte are told from wider
samples by the bytes at even and at odd places, which are alike only there.
"""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio import g711

SPAN = 65_536  # the number of bytes, from the middle of a file, that are enough to guess
_FEWEST = 8192  # the fewest bytes that tell anything
_FEWEST_CODES = 16  # the fewest different bytes that tell anything
_ALIGN = 12  # a multiple of the bytes of each kind of sample
_ALIKE = 0.3  # the largest distance of the distributions of bytes at even and at odd places that count as alike
_SOUND = 0.6  # the least correlation that is sound and not noise
_LOUDEST_FLOAT = 8.0  # samples in floating point are at most 1, and seldom a little more


class Coding(StrEnum):
    """A way in which samples are written as bytes. Its value is its name in messages."""

    LITTLE_ENDIAN = "16-bit PCM"
    BIG_ENDIAN = "16-bit PCM in big-endian order"
    WIDE = "24-bit PCM"
    FLOAT = "32-bit floating point"
    UNSIGNED = "8-bit PCM"
    MULAW = "µ-law"
    ALAW = "A-law"


_SINGLE = (Coding.MULAW, Coding.ALAW, Coding.UNSIGNED)
_WIDER = (Coding.LITTLE_ENDIAN, Coding.BIG_ENDIAN, Coding.FLOAT)
_QUIET = 0.95  # the share of high bytes 0x00 and 0xff from which on 16-bit PCM is too quiet to tell anything


def middle(size: int) -> int:
    """Where in a file of so many bytes the part begins by which to guess, between two samples of any kind."""
    return max(0, size - SPAN) // 2 // _ALIGN * _ALIGN


def misreading(data: bytes, assumed: Coding) -> str:
    """A warning, to follow a file's name, if its bytes are noise as read, and sound in another way; "" if not."""
    better = better_coding(data, assumed)
    if better is None:
        return ""
    # These are alike too often to name one of them.
    look = "8-bit codes, such as µ-law, A-law or 8-bit PCM" if better in _SINGLE else better
    return f"is noise as {assumed}: its bytes look like {look}. Convert it to WAV"


def better_coding(data: bytes, assumed: Coding) -> Coding | None:
    """The coding that fits bytes clearly better than the assumed one; None if the assumed one may be right."""
    data = data[: len(data) // _ALIGN * _ALIGN]
    if len(data) < _FEWEST:
        return None
    codes = np.frombuffer(data, np.uint8)
    if len(np.unique(codes)) < _FEWEST_CODES or (
        assumed is Coding.LITTLE_ENDIAN and float(np.isin(codes[1::2], (0x00, 0xFF)).mean()) > _QUIET
    ):
        return None
    single = _is_of_single_bytes(codes)
    likely = (*(_SINGLE if single else _WIDER), Coding.WIDE)
    fits = {coding: _correlation(_samples(codes, coding)) for coding in likely}
    best = max(fits, key=lambda coding: fits[coding])
    # A high tone has a negative correlation, and is no noise either.
    given = abs(_correlation(_samples(codes, assumed)))
    clearly = 0.1 if single else 0.3
    return best if best != assumed and fits[best] > max(_SOUND, given + clearly) else None


def _is_of_single_bytes(codes: NDArray[np.uint8]) -> bool:
    even, odd = (np.bincount(half, minlength=256) / len(half) for half in (codes[::2], codes[1::2]))
    return float(np.abs(even - odd).sum()) < _ALIKE


def _samples(codes: NDArray[np.uint8], coding: Coding) -> NDArray[np.float64]:
    match coding:
        case Coding.LITTLE_ENDIAN:
            samples = codes.view("<i2").astype(np.float64)
        case Coding.BIG_ENDIAN:
            samples = codes.view(">i2").astype(np.float64)
        case Coding.WIDE:  # the lowest byte is left out
            samples = codes[2::3].view(np.int8).astype(np.float64) * 256 + codes[1::3]
        case Coding.FLOAT:
            with np.errstate(invalid="ignore"):  # of what is no number
                floats = codes.view("<f4").astype(np.float64)
                samples = np.where(np.abs(floats) < _LOUDEST_FLOAT, floats, 0.0)
        case Coding.UNSIGNED:
            samples = codes.astype(np.float64)
        case Coding.MULAW:
            samples = g711.MULAW_SAMPLES[codes].astype(np.float64)
        case Coding.ALAW:
            samples = g711.ALAW_SAMPLES[codes].astype(np.float64)
    return samples


def _correlation(samples: NDArray[np.float64]) -> float:
    """The correlation of neighbouring samples, from -1 to 1; 0 for silence."""
    signal = samples - samples.mean()
    power = float(np.dot(signal, signal))
    return float(np.dot(signal[1:], signal[:-1])) / power if power else 0.0
