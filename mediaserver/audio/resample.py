"""Sound of one rate to another, while it comes."""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.pcm import FRAMES_PER_SECOND, SAMPLE_BYTES, SAMPLE_RATE, Chunks

_LOBES = 16  # zero crossings of the sinc to either side: 2 ms at 8 kHz
_PASS = 0.93  # of half the lower rate is passed: telephone sound ends at 3400 Hz
_BETA = 7.0  # of the Kaiser window: some 70 dB of attenuation


class FrameResampler:
    """Frames of 20 ms from one rate to another, each as soon as it comes: for a conversation.

    A soxr stream works in blocks: at these rates it holds back up to 100 ms and then gives all of it at once. Here
    a frame is one product of matrices. One has a low-pass filter (a windowed sinc), shifted for each sample of the
    result until the shifts repeat: from 8 kHz to 16 every two samples, from 44.1 kHz to 8 every 80. The other has
    the stretches of the sound that those are for. The delay is that of the filter, 2 ms.

    `rate_in` and `rate_out` are in Hz; both must have a whole number of samples in 20 ms.
    """

    def __init__(self, rate_in: int, rate_out: int) -> None:
        self.frame_bytes_in = rate_in // FRAMES_PER_SECOND * SAMPLE_BYTES
        self.frame_bytes_out = rate_out // FRAMES_PER_SECOND * SAMPLE_BYTES
        self._filters = _filters(rate_in, rate_out)
        step, width = rate_in // math.gcd(rate_in, rate_out), len(self._filters)
        self._past = past = width - step
        self.delay_bytes_in = past // 2 * SAMPLE_BYTES  # of sound that a frame does not show yet
        self._samples = np.zeros(past + rate_in // FRAMES_PER_SECOND, dtype=np.float32)
        self._stretches = np.lib.stride_tricks.sliding_window_view(self._samples, width)[::step]

    def feed(self, frame: bytes) -> bytes:
        """One frame of 16-bit little-endian PCM at the rate that comes out; ValueError where it is no frame."""
        if len(frame) != self.frame_bytes_in:
            raise ValueError(f"{len(frame)} bytes are no frame of {self.frame_bytes_in}")
        samples, past = self._samples, self._past
        samples[:past] = samples[-past:]
        samples[past:] = np.frombuffer(frame, dtype="<i2")
        made = np.rint(self._stretches @ self._filters)
        out: bytes = np.clip(made, -32768, 32767, out=made).astype("<i2").tobytes()
        return out


class Resampler:
    """16-bit little-endian mono PCM of `rate` Hz, in pieces of any size, as PCM at 8 kHz in whole frames.

    Each frame is there with the piece that completes it. `rate` must have a whole number of samples in 20 ms.
    """

    def __init__(self, rate: int) -> None:
        self._frames = FrameResampler(rate, SAMPLE_RATE)
        self._chunks = Chunks(self._frames.frame_bytes_in)

    def feed(self, pcm: bytes) -> bytes:
        """The frames that more of it completes."""
        return b"".join(map(self._frames.feed, self._chunks.feed(pcm)))

    def flush(self) -> bytes:
        """The rest, as it is over, with what the filter has held back; half a sample is none."""
        rest = self._chunks.flush()
        whole = rest[: len(rest) - len(rest) % SAMPLE_BYTES] + bytes(self._frames.delay_bytes_in)
        size = self._chunks.size
        return self.feed(whole + bytes(-len(whole) % size))


@cache
def _filters(rate_in: int, rate_out: int) -> NDArray[np.float32]:
    """Shape (samples in, samples out): column n weighs a stretch of the input for the n-th sample of the result.

    The next stretch begins where the first of these samples would have the same filter again.
    """
    common, lowest = math.gcd(rate_in, rate_out), min(rate_in, rate_out)
    step_in, step_out = rate_in // common, rate_out // common
    reach = _LOBES * rate_in / lowest  # of the filter to either side, in samples of the input
    past = 2 * math.ceil(reach)
    at = past / 2 + np.arange(step_out)[None, :] * (step_in / step_out)  # where a sample of the result is
    distance = np.arange(past + step_in)[:, None] - at
    inside = np.abs(distance) <= reach
    near, cutoff = distance[inside], _PASS * lowest / rate_in
    window = np.i0(_BETA * np.sqrt(1 - (near / reach) ** 2)) / np.i0(_BETA)
    weights = np.zeros(distance.shape)
    weights[inside] = np.sinc(cutoff * near) * window
    weights /= weights.sum(axis=0)  # a constant stays what it is
    return weights.astype(np.float32)
