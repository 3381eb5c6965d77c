"""The noise floor of streams by minimum statistics: noise is what is left in each band where nobody speaks.

Source: R. Martin, "Noise power spectral density estimation based on optimal smoothing and minimum statistics",
2001, with a constant smoothing and bias. A voice leaves gaps in each band within two seconds. Noise leaves none.
A floor takes up to 2.2 s to follow a rise, and falls at once.
"""

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.detection.spectrum import BANDS, Window

_SMOOTHING = 0.6  # weight of the earlier frames in a smoothed power
BLOCK_FRAMES, _BLOCKS = (
    12,
    8,
)  # frames in a block, and full blocks that count: the minimum is taken over 96 frames
_BIAS = 1.6  # the mean power of noise, as a multiple of its least smoothed power

# The estimate of a stream's noise is kept as a row of numbers. These are the places of its parts in the row.
_SMOOTHED = slice(0, BANDS)  # the smoothed power of each band; NaN before the first frame
_BLOCK = slice(BANDS, 2 * BANDS)  # each band's minimum in the block of frames that is not full yet
_MINIMA = slice(2 * BANDS, 3 * BANDS)  # each band's minimum over all full blocks
_FULL = 3 * BANDS  # the index in the row at which the minima of the full blocks begin
FLOOR_WIDTH = _FULL + _BLOCKS * BANDS


def new_floor() -> Window:
    """The estimate of a stream's noise before its first frame, a row of shape (154,)."""
    row = np.full(FLOOR_WIDTH, np.inf, np.float32)
    row[_SMOOTHED] = np.nan
    return row


def push_powers(rows: Window, bands: Window) -> Window:
    """Take a frame's powers, shape (..., 14), and return the noise floor of each band.

    `rows` are the estimates of the noise, shape (..., 154), which are updated. Call `end_blocks` next.
    """
    smoothed = _SMOOTHING * rows[..., _SMOOTHED]
    smoothed += (1 - _SMOOTHING) * bands
    rows[..., _SMOOTHED] = smoothed = np.where(np.isnan(smoothed), bands, smoothed)
    rows[..., _BLOCK] = block = np.minimum(rows[..., _BLOCK], smoothed)
    floor: Window = _BIAS * np.minimum(block, rows[..., _MINIMA])
    return floor


def end_blocks(rows: Window, frames: NDArray[np.int64]) -> None:
    """Begin a new block for each stream whose block is full. `frames` has the number of frames of each stream."""
    ended = (frames % BLOCK_FRAMES == 0).nonzero()[0]
    if len(ended):
        full = rows[ended]
        blocks = full[:, _FULL:].reshape(-1, _BLOCKS, BANDS)
        blocks[np.arange(len(ended)), frames[ended] // BLOCK_FRAMES % _BLOCKS] = full[:, _BLOCK]
        rows[ended, _FULL:] = blocks.reshape(-1, _BLOCKS * BANDS)
        rows[ended, _BLOCK] = np.inf
        rows[ended, _MINIMA] = blocks.min(axis=1)
