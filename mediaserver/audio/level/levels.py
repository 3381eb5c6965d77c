"""Levels of audio: dBFS, dBm0 (ITU-T G.711) and loudness in LUFS (ITU-R BS.1770-4).

dBFS here is relative to a full-scale *sine*, so a sine of peak 32 768 reads 0 dBFS by peak and by RMS.
dBm0 is the level at a point of zero relative level: G.711 puts its overload point, a sine whose peak is the
µ-law virtual decision value 8159 (of 14 bits; 32 636 of 16), at +3.17 dBm0.
"""

import audioop
import math

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.pcm import FULL_SCALE, SAMPLE_BYTES, SAMPLE_RATE, Samples, Signal

SILENCE_DB = -100.0  # dB; the level reported for an all-zero signal: below any other 16-bit signal, but finite
CLIPPED = 32_124  # magnitude from which a 16-bit sample counts as clipped: the maximum that µ-law can encode
_OVERLOAD_PEAK, _OVERLOAD_DBM0 = 8159 * 4, 3.17

_BLOCK, _HOP = int(0.4 * SAMPLE_RATE), int(0.1 * SAMPLE_RATE)  # BS.1770: 400 ms blocks, 75 % overlap
_ABSOLUTE_GATE, _RELATIVE_GATE, _OFFSET = -70.0, -10.0, -0.691


def peak_of_dbm0(level: float) -> float:
    """Peak amplitude of a sine at `level` dBm0; 1.0 is full scale."""
    return float(_OVERLOAD_PEAK / FULL_SCALE * 10 ** ((level - _OVERLOAD_DBM0) / 20))


def rms_of_dbm0(level: float) -> float:
    """RMS amplitude of any signal at `level` dBm0; 1.0 is full scale."""
    return peak_of_dbm0(level) / math.sqrt(2)


def peak(samples: NDArray[np.signedinteger]) -> int:
    """The highest magnitude among integer samples; 0 where there are none."""
    return max(int(samples.max(initial=0)), -int(samples.min(initial=0)))


def peak_dbfs(samples: Samples) -> float:
    """The highest magnitude among 16-bit samples, in dBFS; SILENCE_DB where all are zero or there are none."""
    return amplitude_dbfs(peak(samples) / FULL_SCALE)


def rms_dbfs(samples: Samples) -> float:
    """Mean power of 16-bit samples in dBFS; a full-scale sine reads 0."""
    signal = samples.astype(np.float64)
    return power_dbfs(float(np.dot(signal, signal)) / len(signal) if len(signal) else 0.0)


def pcm_dbfs(pcm: bytes) -> float:
    """What `rms_dbfs` says of PCM, in a quarter of the time for 10 ms; SILENCE_DB where all samples are zero.

    The least level of other sound is that of samples of 1.
    """
    rms = audioop.rms(pcm, SAMPLE_BYTES)
    if not rms and not pcm.strip(b"\0"):
        return SILENCE_DB
    return power_dbfs(max(1, rms) ** 2)


def amplitude_dbfs(amplitude: float) -> float:
    """dBFS of a peak given as a share of full scale."""
    return 20 * math.log10(amplitude) if amplitude else SILENCE_DB


def power_dbfs(power: float) -> float:
    """dBFS of the mean square of 16-bit samples."""
    return 10 * math.log10(2 * power / FULL_SCALE**2) if power else SILENCE_DB


def dbm0_of_dbfs(level: float) -> float:
    """dBm0 of an RMS level that is given in dBFS."""
    return level - amplitude_dbfs(_OVERLOAD_PEAK / FULL_SCALE) + _OVERLOAD_DBM0


def loudness_lufs(samples: Samples) -> float:
    """Integrated loudness in LUFS, gated as in ITU-R BS.1770-4, of 8 kHz mono samples.

    The K-weighting is applied to each block's spectrum: it is exact in magnitude, and has no filter memory.
    A signal shorter than a block of 400 ms is padded with zeros to one block.
    """
    if len(samples) < _BLOCK:
        samples = np.pad(samples, (0, _BLOCK - len(samples)))
    blocks = np.lib.stride_tricks.sliding_window_view(samples, _BLOCK)[::_HOP]
    # The blocks are processed in parts, because those of an hour of sound together would take gigabytes of memory.
    parts = np.array_split(blocks, -(-len(blocks) // 256))
    power = np.concatenate([_weighted_power(part.astype(np.float64) / FULL_SCALE) for part in parts])
    gated = power[power > _power_of_lufs(_ABSOLUTE_GATE)]
    if not len(gated):
        return SILENCE_DB
    gated = gated[gated > gated.mean() * 10 ** (_RELATIVE_GATE / 10)]
    return _OFFSET + 10 * math.log10(float(gated.mean()))


def _power_of_lufs(level: float) -> float:
    return float(10 ** ((level - _OFFSET) / 10))


def _weighted_power(blocks: Signal) -> Signal:
    """Mean K-weighted power of each row of `blocks`, shape (n,), by Parseval's theorem."""
    spectrum = np.abs(np.fft.rfft(blocks, axis=1)) ** 2
    spectrum[:, 1:-1] *= 2
    weighted: Signal = spectrum @ _k_weight(_BLOCK) / _BLOCK**2
    return weighted


def _k_weight(size: int) -> Signal:
    """|H(f)|² of the two filters of BS.1770 at the bins of an rfft of `size`, from their analogue prototypes."""
    s = 2j * np.pi * np.fft.rfftfreq(size, 1 / SAMPLE_RATE)
    shelf_w, shelf_q, gain = 2 * np.pi * 1681.974450955533, 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    band = gain**0.4996667741545416
    x = s / shelf_w
    shelf = (gain * x * x + band / shelf_q * x + 1) / (x * x + x / shelf_q + 1)
    y = s / (2 * np.pi * 38.13547087602444)
    high_pass = y * y / (y * y + y / 0.5003270373238773 + 1)
    weight: Signal = np.abs(shelf * high_pass) ** 2
    return weight
