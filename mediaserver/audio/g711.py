"""G.711 µ-law and A-law companding (ITU-T Recommendation G.711, 11/1988).

Each law has two tables: 256 codes to 16-bit samples, and 65 536 samples to codes. The recommendation
defines the laws on 14-bit (µ) and 13-bit (A) uniform PCM, left-justified here in 16 bits, so a 16-bit sample
first loses its lowest bits by an arithmetic shift, as the CCITT reference code does.

The functions that take PCM as bytes use the module `audioop` where it is faster. Its results are equal.
"""

import audioop

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES, Samples, from_bytes

Codes = NDArray[np.uint8]

_MU_BIAS = 33  # a bias added to the 14-bit magnitude, so that every segment starts at a power of two
_FEW_BYTES = 4 * FRAME_BYTES  # PCM bytes up to which audioop encodes faster than numpy; a frame 5 times faster
_MU_CLIP = 0x1FFF  # the largest µ-law magnitude with its bias: the end of the last segment


def _mu_decode_table() -> Samples:
    code = np.arange(256) ^ 0xFF  # µ-law transmits every bit inverted
    segment, step = (code >> 4) & 7, code & 15
    magnitude = ((2 * step + 33) << segment) - _MU_BIAS
    return np.where(code & 0x80, -magnitude * 4, magnitude * 4).astype(np.int16)


def _mu_encode_table() -> Codes:
    sample = np.arange(-32768, 32768) >> 2
    magnitude = np.minimum(np.abs(sample) + _MU_BIAS, _MU_CLIP)
    segment = np.floor(np.log2(magnitude)).astype(np.int64) - 5
    step = (magnitude >> (segment + 1)) & 15
    code: NDArray[np.int64] = (segment << 4) | step | np.where(sample < 0, 0x80, 0)
    return (code ^ 0xFF).astype(np.uint8)


def _a_decode_table() -> Samples:
    code = np.arange(256) ^ 0x55  # A-law inverts the even bits
    segment, step = (code >> 4) & 7, code & 15
    magnitude = np.where(segment == 0, 2 * step + 1, (2 * step + 33) << np.maximum(segment - 1, 0))
    return np.where(code & 0x80, magnitude * 8, -magnitude * 8).astype(np.int16)


def _a_encode_table() -> Codes:
    sample = np.arange(-32768, 32768) >> 3
    magnitude = np.where(sample < 0, -sample - 1, sample)
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int64) - 4, 0)
    step = (magnitude >> np.maximum(segment, 1)) & 15
    code: NDArray[np.int64] = (segment << 4) | step | np.where(sample < 0, 0, 0x80)
    return (code ^ 0x55).astype(np.uint8)


# The tables of each law: the sample of each code, shape (256,), int16; the code of each sample, shape (65536,).
MULAW_SAMPLES, _MU_ENCODE = _mu_decode_table(), np.roll(_mu_encode_table(), -32768)
ALAW_SAMPLES, _A_ENCODE = _a_decode_table(), np.roll(_a_encode_table(), -32768)


def mulaw_decode(codes: bytes) -> Samples:
    """16-bit samples of µ-law codes, one sample a code."""
    return MULAW_SAMPLES[np.frombuffer(codes, dtype=np.uint8)]


def mulaw_encode(samples: Samples) -> bytes:
    """µ-law codes of 16-bit samples, one code a sample."""
    return _MU_ENCODE[samples.view(np.uint16)].tobytes()


def alaw_decode(codes: bytes) -> Samples:
    """16-bit samples of A-law codes, one sample a code."""
    return ALAW_SAMPLES[np.frombuffer(codes, dtype=np.uint8)]


def alaw_encode(samples: Samples) -> bytes:
    """A-law codes of 16-bit samples, one code a sample."""
    return _A_ENCODE[samples.view(np.uint16)].tobytes()


def mulaw_compand(pcm: bytes) -> bytes:
    """µ-law codes of 16-bit little-endian PCM."""
    return audioop.lin2ulaw(pcm, SAMPLE_BYTES) if len(pcm) <= _FEW_BYTES else mulaw_encode(from_bytes(pcm))


def mulaw_expand(codes: bytes) -> bytes:
    """16-bit little-endian PCM of µ-law codes."""
    return audioop.ulaw2lin(codes, SAMPLE_BYTES)


def alaw_compand(pcm: bytes) -> bytes:
    """A-law codes of 16-bit little-endian PCM."""
    return audioop.lin2alaw(pcm, SAMPLE_BYTES) if len(pcm) <= _FEW_BYTES else alaw_encode(from_bytes(pcm))


def alaw_expand(codes: bytes) -> bytes:
    """16-bit little-endian PCM of A-law codes."""
    return audioop.alaw2lin(codes, SAMPLE_BYTES)


def looks_like_mulaw(data: bytes) -> bool:
    """Whether bytes are more likely µ-law than 16-bit little-endian PCM.

    In most sound, each sample is like the previous sample. Bytes that are decoded in the wrong way have a lower
    correlation of neighbouring samples. This test says little about quiet linear PCM. A second test counts bytes
    near zero. They are the high bytes of small positive linear samples, while in µ-law they are the rare loudest
    codes. Many of them show linear PCM.
    """
    high = np.frombuffer(data, dtype=np.uint8)[1::2]
    if len(data) % 2 or not len(high) or float((high < _LOUDEST_CODES).mean()) > _MOST_LOUD:
        return False
    return _correlation(mulaw_decode(data)) > _correlation(np.frombuffer(data, dtype="<i2")) + _CLEARLY


_LOUDEST_CODES, _MOST_LOUD, _CLEARLY = 0x10, 0.15, 0.05


def _correlation(samples: Samples) -> float:
    """The correlation of neighbouring samples, from -1 to 1; 0 for noise and silence."""
    signal = samples - samples.mean()
    power = float(np.dot(signal, signal))
    return float(np.dot(signal[1:], signal[:-1])) / power if power else 0.0
