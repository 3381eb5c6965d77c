"""Sound of another rate to the house's own, while it comes."""

import numpy as np
import soxr

from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE, whole_frames


class Resampler:
    """16-bit little-endian mono PCM of `rate` Hz, in pieces of any size, as PCM at 8 kHz in whole frames."""

    def __init__(self, rate: int) -> None:
        self._stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="int16", quality="HQ")
        self._half = b""  # of a sample
        self._made = b""  # of a frame

    def feed(self, pcm: bytes) -> bytes:
        """The frames that more of it completes."""
        data = self._half + pcm
        whole = len(data) - len(data) % SAMPLE_BYTES
        self._half = data[whole:]
        made = self._made + self._resampled(data[:whole])
        frames = len(made) - len(made) % FRAME_BYTES
        self._made = made[frames:]
        return made[:frames]

    def flush(self) -> bytes:
        """The rest, as it is over; half a sample is none."""
        return whole_frames(self._made + self._resampled(b"", last=True))

    def _resampled(self, pcm: bytes, last: bool = False) -> bytes:
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.int16, copy=False)
        made: bytes = self._stream.resample_chunk(samples, last=last).astype("<i2", copy=False).tobytes()
        return made
