"""The server's internal media format, and how samples become frames.

The format is 8 kHz, mono, 16-bit signed little-endian PCM, which VoIPBIN uses in every encapsulation. A frame is
one ptime of 20 ms: 160 samples, 320 bytes. Samples are numpy `int16` arrays of shape (n,).
"""

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
Signal = NDArray[np.float64]

SAMPLE_RATE = 8000  # samples per second
PTIME = 0.020  # seconds of audio in one frame
FRAME_SAMPLES = 160
SAMPLE_BYTES = 2
FRAME_BYTES = FRAME_SAMPLES * SAMPLE_BYTES
FRAMES_PER_SECOND = 50
FULL_SCALE = 32768.0
SILENCE = bytes(FRAME_BYTES)


def from_bytes(pcm: bytes) -> Samples:
    """Convert 16-bit little-endian PCM to samples, shape (n,), int16; ValueError on an odd number of bytes."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.int16, copy=False)


def to_bytes(samples: Samples) -> bytes:
    """Convert int16 samples to 16-bit little-endian PCM."""
    return samples.astype("<i2", copy=False).tobytes()


def quantize(signal: Signal) -> Samples:
    """16-bit samples of a signal in which ±1.0 is full scale: rounded to the nearest value, then clipped."""
    return np.clip(np.rint(signal * FULL_SCALE), -32768, 32767).astype(np.int16)


def pad_to_frames(pcm: bytes) -> bytes:
    """The PCM, padded with silence to a whole number of 320-byte frames."""
    return pcm + bytes(-len(pcm) % FRAME_BYTES)


def nearest_frame_count(seconds: float) -> int:
    """The number of 20 ms frames nearest to a duration in seconds."""
    return round(seconds * FRAMES_PER_SECOND)


class Chunker:
    """Cuts a byte stream, received in pieces of any size, into chunks of `size` bytes."""

    __slots__ = ("rest", "size")

    def __init__(self, size: int) -> None:
        self.size = size
        self.rest = b""  # the received bytes of the last chunk, which is not complete

    def feed(self, data: bytes) -> list[bytes]:
        """The whole chunks that `data` completes, in order."""
        size = self.size
        if self.rest:
            data = self.rest + data
        end = len(data) - len(data) % size
        self.rest = data[end:]
        return [data[at : at + size] for at in range(0, end, size)]

    def flush(self) -> bytes:
        """Remove and return the bytes of the incomplete last chunk, so that a new stream may begin."""
        rest, self.rest = self.rest, b""
        return rest


def describe_channels(channels: int) -> str:
    """A number of channels in words, as in `WAV 44100 Hz 16-bit stereo`."""
    return {1: "mono", 2: "stereo"}.get(channels, f"{channels} channels")
