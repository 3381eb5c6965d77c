"""Decodes one frame of each of many streams together, whose messages all have the same layout."""

import functools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio import g711
from mediaserver.audio.pcm import Samples
from mediaserver.wire.codec import Codec


@dataclass(frozen=True, eq=False, slots=True)
class FrameLayout:
    """Where the samples of a frame lie in a binary message: behind a constant header, in a codec at 8 kHz.

    `frame_layout` makes one object for each layout, so that streams can be grouped by this object.
    """

    header: bytes
    codec: Codec

    def matches(self, payloads: NDArray[np.uint8]) -> list[bool]:
        """For each message in `payloads`, shape (n, bytes), whether it begins with the layout's header."""
        start = len(self.header)
        if not start:
            return [True] * len(payloads)
        result: list[bool] = (payloads[:, :start] == np.frombuffer(self.header, np.uint8)).all(axis=1).tolist()
        return result

    def decode(self, payloads: NDArray[np.uint8]) -> Samples:
        """Return the samples of n messages, shape (n, 160). Each message must begin with the layout's header."""
        start = len(self.header)
        codes = np.ascontiguousarray(payloads[:, start:] if start else payloads)
        match self.codec:
            case Codec.MULAW:
                return g711.MULAW_SAMPLES.take(codes)
            case Codec.ALAW:
                return g711.ALAW_SAMPLES.take(codes)
        return codes.view("<i2").astype(np.int16, copy=False)


@functools.cache
def frame_layout(header: bytes, codec: Codec) -> FrameLayout:
    """The layout of messages that begin with `header`, and hold one frame in `codec` behind it."""
    return FrameLayout(header, codec)
