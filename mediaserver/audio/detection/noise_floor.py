"""The noise floor of streams by minimum statistics: noise is what is left in each band where nobody speaks.

Source: R. Martin, "Noise power spectral density estimation based on optimal smoothing and minimum statistics",
2001, with a constant smoothing and bias. A voice leaves gaps in each band within two seconds. Noise leaves none.
A floor takes up to 2.2 s to follow a rise, and falls at once.
"""

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.detection.spectrum import BANDS, Window
from mediaserver.audio.detection.state_table import Columns, Field

_SMOOTHING = 0.6  # weight of the earlier frames in a smoothed power
BLOCK_FRAMES, _BLOCKS = 12, 8  # frames in a block, and full blocks that count: the minimum is taken over 96 frames
_BIAS = 1.6  # the mean power of noise, as a multiple of its least smoothed power

# The estimate of a stream's noise, which is a row of a table.
NOISE_FIELDS: tuple[Field, ...] = (
    ("smoothed", np.float32, (BANDS,)),  # the smoothed power of each band; NaN before the first frame
    ("block", np.float32, (BANDS,)),  # each band's minimum in the block of frames that is not full yet
    ("minima", np.float32, (BANDS,)),  # each band's minimum over all full blocks
    ("full", np.float32, (_BLOCKS, BANDS)),  # each band's minimum in each of the full blocks
)


def reset(noise: Columns, index: int, *, silent: bool = False) -> None:
    """Begin the estimate in a row of a table anew. `silent`: as if there had been no noise for a long time."""
    noise["smoothed"][index] = 0 if silent else np.nan
    for minimum in ("block", "minima", "full"):
        noise[minimum][index] = 0 if silent else np.inf


def push_powers(noise: Columns, at: NDArray[np.intp], bands: Window) -> Window:
    """Take a frame's powers of each of n streams, shape (n, 14), and return the noise floor of each band.

    The streams' estimates, in the rows `at` of the table, are updated. Call `end_blocks` next.
    """
    smoothed: Window = noise["smoothed"].take(at, axis=0)
    smoothed *= _SMOOTHING
    smoothed += (1 - _SMOOTHING) * bands
    np.copyto(smoothed, bands, where=np.isnan(smoothed))
    block = np.minimum(noise["block"].take(at, axis=0), smoothed)
    noise["smoothed"][at], noise["block"][at] = smoothed, block
    floor: Window = np.minimum(block, noise["minima"].take(at, axis=0))
    floor *= _BIAS
    return floor


def end_blocks(noise: Columns, at: NDArray[np.intp], frames: NDArray[np.int64]) -> None:
    """Begin a new block for each stream whose block is full. `frames` has the number of frames of each stream."""
    ended = (frames % BLOCK_FRAMES == 0).nonzero()[0]
    if len(ended):
        of = at[ended]
        noise["full"][of, frames[ended] // BLOCK_FRAMES % _BLOCKS] = noise["block"][of]
        noise["minima"][of] = noise["full"][of].min(axis=1)
        noise["block"][of] = np.inf
