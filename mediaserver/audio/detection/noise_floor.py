"""The noise floor of streams by minimum statistics: noise is what is left in each band where nobody speaks.

Source: R. Martin, "Noise power spectral density estimation based on optimal smoothing and minimum statistics",
2001, with a constant smoothing and bias. A voice leaves gaps in each band within two seconds. Noise leaves none.
A floor takes up to 2.2 s to follow a rise, and falls at once.
"""

import numpy as np

from mediaserver.audio.detection.spectrum import BANDS, Window
from mediaserver.audio.pcm import Signal

_SMOOTHING = 0.6  # weight of the earlier frames in a smoothed power
BLOCK_FRAMES, _BLOCKS = 12, 8  # frames in a block, and full blocks that count: the minimum is taken over 96 frames
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


def push_powers(rows: Window, bands: Window) -> Signal:
    """Take a frame's powers, shape (..., 14), and return the noise floor of each band.

    `rows` are the estimates of the noise, shape (..., 154), which are updated. The calling code must call
    `end_block` after each 12 frames of a stream.
    """
    smoothed = _SMOOTHING * rows[..., _SMOOTHED]
    smoothed += (1 - _SMOOTHING) * bands
    rows[..., _SMOOTHED] = smoothed = np.where(np.isnan(smoothed), bands, smoothed)
    rows[..., _BLOCK] = block = np.minimum(rows[..., _BLOCK], smoothed)
    floor: Signal = _BIAS * np.minimum(block, rows[..., _MINIMA]).astype(np.float64)
    return floor


def end_block(row: Window, number: int) -> None:
    """Begin a new block of frames of one stream. `number` counts its full blocks, from 1."""
    blocks = row[_FULL:].reshape(_BLOCKS, BANDS)
    blocks[number % _BLOCKS] = row[_BLOCK]
    row[_BLOCK] = np.inf
    row[_MINIMA] = blocks.min(axis=0)
