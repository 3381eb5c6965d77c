"""The one media format of the house, and how samples become frames.

8 kHz, mono, 16-bit signed little-endian PCM; one frame is one ptime of 20 ms: 160 samples, 320 bytes
(VoIPBIN's media format for every encapsulation). Samples are numpy `int16` arrays of shape (n,).
"""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Signal = NDArray[np.float64]

SAMPLE_RATE = 8000  # Hz
PTIME = 0.020  # seconds of audio in one frame
FRAME_SAMPLES = 160
SAMPLE_BYTES = 2
FRAME_BYTES = FRAME_SAMPLES * SAMPLE_BYTES
FRAMES_PER_SECOND = 50
FULL_SCALE = 32768.0
SILENCE = bytes(FRAME_BYTES)


def from_bytes(pcm: bytes) -> Samples:
    """Samples of 16-bit little-endian PCM; ValueError on an odd number of bytes."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.int16, copy=False)


def to_bytes(samples: Samples) -> bytes:
    """16-bit little-endian PCM of samples."""
    return samples.astype("<i2", copy=False).tobytes()


def quantize(signal: Signal) -> Samples:
    """16-bit samples of a signal where ±1.0 is full scale: rounded to nearest, clipped."""
    return np.clip(np.rint(signal * FULL_SCALE), -32768, 32767).astype(np.int16)


def whole_frames(pcm: bytes) -> bytes:
    """PCM with silence after it to the end of its last frame."""
    return pcm + bytes(-len(pcm) % FRAME_BYTES)


def frame_count(samples: int) -> int:
    """Frames that `samples` samples fill, the last one perhaps in part."""
    return -(-samples // FRAME_SAMPLES)


def frames_in(seconds: float) -> int:
    """Whole frames nearest to a duration in seconds."""
    return round(seconds * FRAMES_PER_SECOND)


class Chunks:
    """Cuts bytes that come in pieces of any size into pieces of one size."""

    __slots__ = ("_rest", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The whole pieces that these bytes complete."""
        size = self.size
        if self._rest:
            data = self._rest + data
        end = len(data) - len(data) % size
        self._rest = data[end:]
        return [data[at : at + size] for at in range(0, end, size)]

    def flush(self) -> bytes:
        """The rest, which is no whole piece."""
        rest, self._rest = self._rest, b""
        return rest
