"""Streaming sample rate conversion, for peers whose audio is not at 8 kHz."""

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

from mediaserver.audio.pcm import FRAMES_PER_SECOND, SAMPLE_BYTES, SAMPLE_RATE, Chunker

_ZERO_CROSSINGS = 16  # zero crossings of the sinc to either side of its centre: 2 ms at 8 kHz
_PASSBAND = 0.93  # share of the lower rate's Nyquist frequency that passes: 3720 of 4000 Hz; telephony needs 3400
_KAISER_BETA = 7.0  # the shape of the Kaiser window, which gives some 70 dB of stop-band attenuation


class FrameResampler:
    """Converts each 20 ms frame of a stream from one rate to another, without waiting for the next frame.

    A soxr stream works in blocks: at these rates it holds back up to 100 ms of audio and then returns it at once,
    which delays a conversation too much. Here an output frame is one matrix product: windows of input samples
    times a bank of polyphase filters. The filters are one windowed sinc, shifted for each output sample until the
    shifts repeat: after 2 samples from 8 kHz to 16 kHz, after 80 from 44.1 kHz to 8 kHz. The filters delay the
    audio by 2 ms.

    `rate_in` and `rate_out` are in Hz; both must have a whole number of samples in 20 ms.
    """

    def __init__(self, rate_in: int, rate_out: int) -> None:
        self.frame_bytes_in = rate_in // FRAMES_PER_SECOND * SAMPLE_BYTES
        self.frame_bytes_out = rate_out // FRAMES_PER_SECOND * SAMPLE_BYTES
        self._filters = _polyphase_filters(rate_in, rate_out)
        step, width = rate_in // math.gcd(rate_in, rate_out), len(self._filters)
        self._history = history = width - step  # number of input samples kept from earlier frames
        self.delay_bytes_in = history // 2 * SAMPLE_BYTES  # bytes of input that have not reached the output yet
        self._samples = np.zeros(history + rate_in // FRAMES_PER_SECOND, dtype=np.float32)
        self._windows = np.lib.stride_tricks.sliding_window_view(self._samples, width)[::step]

    def feed(self, frame: bytes) -> bytes:
        """Resample a 20 ms frame of 16-bit little-endian PCM; ValueError if `frame` has another length."""
        if len(frame) != self.frame_bytes_in:
            raise ValueError(f"{len(frame)} bytes are no frame of {self.frame_bytes_in}")
        samples, history = self._samples, self._history
        samples[:history] = samples[-history:]
        samples[history:] = np.frombuffer(frame, dtype="<i2")
        converted = np.rint(self._windows @ self._filters)
        out: bytes = np.clip(converted, -32768, 32767, out=converted).astype("<i2").tobytes()
        return out


class Resampler:
    """Converts 16-bit little-endian mono PCM of `rate` Hz, in pieces of any size, to whole frames at 8 kHz.

    `feed` returns a frame as soon as a piece completes it. `rate` must have a whole number of samples in 20 ms.
    """

    def __init__(self, rate: int) -> None:
        self._frames = FrameResampler(rate, SAMPLE_RATE)
        self._chunker = Chunker(self._frames.frame_bytes_in)

    def feed(self, pcm: bytes) -> bytes:
        """The 8 kHz frames that this piece completes, of 320 bytes each."""
        return b"".join(map(self._frames.feed, self._chunker.feed(pcm)))

    def flush(self) -> bytes:
        """The last frames at 8 kHz: the input that is still held back, padded with silence.

        Half a sample at the end of the input is dropped.
        """
        rest = self._chunker.flush()
        whole = rest[: len(rest) - len(rest) % SAMPLE_BYTES] + bytes(self._frames.delay_bytes_in)
        size = self._chunker.size
        return self.feed(whole + bytes(-len(whole) % size))


@cache
def _polyphase_filters(rate_in: int, rate_out: int) -> NDArray[np.float32]:
    """The filters, shape (samples in, samples out): column n weighs a window of input for the n-th output sample.

    After the last column, the first one is used again, for a window that begins later by `rate_in` divided by the
    greatest common divisor of both rates.
    """
    common, lowest = math.gcd(rate_in, rate_out), min(rate_in, rate_out)
    step_in, step_out = rate_in // common, rate_out // common
    reach = _ZERO_CROSSINGS * rate_in / lowest  # width of a filter to either side of its centre, in input samples
    history = 2 * math.ceil(reach)
    # The centre of each filter, in input samples.
    centre = history / 2 + np.arange(step_out)[None, :] * (step_in / step_out)
    distance = np.arange(history + step_in)[:, None] - centre
    inside = np.abs(distance) <= reach
    near, cutoff = distance[inside], _PASSBAND * lowest / rate_in
    window = np.i0(_KAISER_BETA * np.sqrt(1 - (near / reach) ** 2)) / np.i0(_KAISER_BETA)
    weights = np.zeros(distance.shape)
    weights[inside] = np.sinc(cutoff * near) * window
    weights /= weights.sum(axis=0)  # makes the gain at 0 Hz exactly 1
    return weights.astype(np.float32)
