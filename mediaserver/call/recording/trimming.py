"""Where the silence at the end of a recording begins, so that it can be cut off."""

import numpy as np

from mediaserver.audio.pcm import SAMPLE_RATE, Samples

KEPT_SILENCE = SAMPLE_RATE // 5  # number of silent samples that trimming leaves at the end
_SILENCE_PEAK = 180  # amplitude (-45 dBFS) up to which samples at the end are trimmed as silence


def end_of_sound(samples: Samples) -> int:
    """The index after the last sample that is not silence, of samples of shape (n,); 0 if all are silent."""
    loud = np.flatnonzero((samples > _SILENCE_PEAK) | (samples < -_SILENCE_PEAK))
    return int(loud[-1]) + 1 if len(loud) else 0
