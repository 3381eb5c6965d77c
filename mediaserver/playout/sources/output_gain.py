"""The gain of all that a stream sends, by which an operator makes it louder, softer, or silent for a while."""

from collections.abc import Iterator
from functools import partial
from itertools import chain, islice, repeat
from operator import itemgetter

from mediaserver.audio.mixing import amplify_ramp, scale
from mediaserver.wire.encapsulation import Encoding


def _scaled(encoding: Encoding, factor: float, frame: bytes) -> bytes:
    return encoding.encode(scale(encoding.decode(frame), factor))


class OutputGain:
    """One stream's gain, a factor: 1 sends frames as they are, which costs nothing, and 0 sends silence.

    From one factor to another, the gain changes in a straight ramp over one frame, so that nothing clicks. Even at
    factor 0, frames are taken from the source and counted, so that the source plays on while silence is sent.
    """

    __slots__ = ("_factor", "_reached")

    def __init__(self) -> None:
        self._factor = 1.0
        self._reached = 1.0  # the gain at the end of the latest frame, which the next ramp begins with

    @property
    def is_silent(self) -> bool:
        """Whether nothing but silence is sent, once the ramp down to 0 is over."""
        return self._factor == 0.0

    def change(self, factor: float) -> None:
        """Use another factor in all iterators that `apply` makes from now on."""
        self._factor = factor

    def apply(self, frames: Iterator[bytes], encoding: Encoding) -> Iterator[bytes]:
        """Encoded frames at the gain; `frames` itself if the gain is 1. Samples beyond 16 bits are clipped."""
        level = self._level(frames, encoding)
        return level if self._reached == self._factor else chain(self._ramp(frames, encoding), level)

    def _level(self, frames: Iterator[bytes], encoding: Encoding) -> Iterator[bytes]:
        if self._factor == 1.0:
            return frames
        if self._factor == 0.0:  # fast: no frame is decoded, and no Python code runs for each frame
            return map(itemgetter(1), zip(frames, repeat(encoding.silence), strict=False))
        return map(partial(_scaled, encoding, self._factor), frames)

    def _ramp(self, frames: Iterator[bytes], encoding: Encoding) -> Iterator[bytes]:
        """Yield the next of `frames`, in which the gain changes from the earlier factor to the present one."""
        for frame in islice(frames, 1):
            before, self._reached = self._reached, self._factor
            yield encoding.encode(amplify_ramp(encoding.decode(frame), before, self._factor))
