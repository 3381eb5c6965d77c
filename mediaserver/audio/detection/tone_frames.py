"""Classifies frames of 8 kHz audio: silence, a call-progress tone, another single tone, or none of these.

Call-progress tones have one or two frequencies from 350 to 620 Hz (ITU-T E.180 and its Supplement 2). They are
recognised by the share of the power in that band, since two of these frequencies may be only 40 Hz apart.
"""

from enum import Enum, auto
from typing import NamedTuple

import numpy as np

from mediaserver.audio.level.levels import SILENCE_DB, power_dbfs
from mediaserver.audio.pcm import FRAME_SAMPLES, SAMPLE_RATE, Samples

_WINDOW = 256  # number of samples of which a spectrum is taken; its bins are 31.25 Hz apart
_BIN_HZ = SAMPLE_RATE / _WINDOW
_FIRST, _LAST = 2, 126  # the bins whose power counts: from the first up to, but without, the last; 60 to 3900 Hz
# The bins of a spectrum that call-progress tones fill (280 to 690 Hz): their indices, and their slice of the bins
# whose power counts.
_PROGRESS_BINS = np.arange(9, 23)
_PROGRESS = slice(9 - _FIRST, 23 - _FIRST)
_HANN = 0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(_WINDOW) + 0.5) / _WINDOW)
# The spectrum of a window is its product with this matrix, real and imaginary parts side by side. That takes less
# than half the time of a Fourier transform.
_ANGLES = -2 * np.pi / _WINDOW * np.outer(np.arange(_WINDOW), np.arange(_FIRST, _LAST))
_WAVES = np.ascontiguousarray((_HANN[:, None] * np.exp(1j * _ANGLES)).astype(np.complex64)).view(np.float32)
_SHARE = 0.9  # a frame is a tone if the tone holds at least this share of the frame's power
_QUIET_DBFS = -50.0  # a frame below this level is silence
_BELOW_TONE = 20.0  # a frame this many dB below the last tone is silence, because a line has noise


class FrameKind(Enum):
    """The kind of sound that a frame holds."""

    SILENT = auto()
    PROGRESS = auto()  # a call-progress tone: one or two frequencies from 350 to 620 Hz
    TONE = auto()  # another tone: a single frequency outside of 350 to 620 Hz
    OTHER = auto()


class ToneFrame(NamedTuple):
    """A frame's kind of sound, and its tone's frequency: the mean frequency of two tones, 0 if it has no tone."""

    kind: FrameKind
    hz: float = 0.0


_SILENT, _OTHER = ToneFrame(FrameKind.SILENT), ToneFrame(FrameKind.OTHER)


class FrameClassifier:
    """Classifies the frames of one stream as silence, a tone or other sound."""

    def __init__(self) -> None:
        self._window = np.zeros(_WINDOW, np.float32)
        self._tone_dbfs = SILENCE_DB  # the level of the last tone

    def classify(self, samples: Samples) -> ToneFrame:
        """The kind of sound in the next frame of 160 samples, and the frequency of its tone."""
        window = self._window
        window[:-FRAME_SAMPLES] = window[FRAME_SAMPLES:]
        window[-FRAME_SAMPLES:] = samples
        frame = window[-FRAME_SAMPLES:]
        level = power_dbfs(float(frame.dot(frame)) / FRAME_SAMPLES)
        if level < max(_QUIET_DBFS, self._tone_dbfs - _BELOW_TONE):
            return _SILENT
        squares = np.square(window @ _WAVES)
        power = squares[0::2] + squares[1::2]
        total, progress = power.sum(), power[_PROGRESS]
        if progress.sum() > _SHARE * total:
            self._tone_dbfs = level
            hz = float(progress.dot(_PROGRESS_BINS) / progress.sum()) * _BIN_HZ
            return ToneFrame(FrameKind.PROGRESS, hz)
        peak = int(power.argmax())
        if power[max(0, peak - 2) : peak + 3].sum() > _SHARE * total and 0 < peak < len(power) - 1:
            self._tone_dbfs = level
            return ToneFrame(FrameKind.TONE, (_FIRST + peak + _offset(power[peak - 1 : peak + 2])) * _BIN_HZ)
        return _OTHER


def _offset(powers: np.ndarray) -> float:
    """How far a tone is from the bin of its peak, in bins, by the powers of that bin and its two neighbours.

    It is exact for one tone under a Hann window (Grandke, "Interpolation algorithms for discrete Fourier
    transforms of weighted signals", 1983).
    """
    before, peak, after = np.sqrt(powers)
    ratio = max(before, after) / peak
    offset = (2 * ratio - 1) / (1 + ratio)
    return float(offset if after > before else -offset)
