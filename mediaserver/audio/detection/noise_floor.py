"""The noise floor of a stream by minimum statistics: noise is what is left in each band where nobody speaks.

Source: R. Martin, "Noise power spectral density estimation based on optimal smoothing and minimum statistics",
2001, with a constant smoothing and bias. A voice leaves gaps in each band within two seconds. Noise leaves none.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.detection.spectrum import BANDS
from mediaserver.audio.pcm import Signal

Powers = NDArray[np.floating[Any]]

_SMOOTHING = 0.6  # the share of the frames before in a smoothed power
_BLOCK_FRAMES, _BLOCKS = 12, 8  # the minimum is that of 96 frames and those of the block that is not full yet
_BIAS = 1.6  # the mean power of noise, as a multiple of the least smoothed one


class NoiseFloor:
    """The power of the noise in each band. It takes up to 2.2 s to follow a rise, and falls at once."""

    def __init__(self) -> None:
        self._smoothed: Powers | None = None
        self._block = np.full(BANDS, np.inf)  # minima of the block that is not full yet
        self._blocks = np.full((_BLOCKS, BANDS), np.inf)
        self._minima = np.full(BANDS, np.inf)  # over the full blocks
        self._frames = 0

    def push(self, bands: Powers) -> Signal:
        """Take a frame's powers, shape (14,), and return the noise floor of each band."""
        if self._smoothed is None:
            self._smoothed = bands
        else:
            self._smoothed = _SMOOTHING * self._smoothed + (1 - _SMOOTHING) * bands
        self._block = np.minimum(self._block, self._smoothed)
        floor: Signal = _BIAS * np.minimum(self._block, self._minima)
        self._frames += 1
        if self._frames % _BLOCK_FRAMES == 0:
            self._blocks[self._frames // _BLOCK_FRAMES % _BLOCKS] = self._block
            self._block = np.full(BANDS, np.inf)
            self._minima = self._blocks.min(axis=0)
        return floor
