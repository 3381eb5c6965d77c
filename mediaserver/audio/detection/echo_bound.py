"""How strong the echo of what was played can be, at most: sound that is weaker may be nothing but echo.

An echo comes back 20 to 500 ms later, at least 20 dB weaker than it was sent, in the same bands. So in each band
it is no stronger than the strongest of the last frames that were sent, less 20 dB. The bound holds from the first
frame on, for every delay, and however the delay changes. It also holds for codecs that distort the echo.
"""

import numpy as np

from mediaserver.audio.detection.spectrum import BANDS, OVERLAP, WINDOW, Window, band_powers
from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_BYTES, Signal, from_bytes

ECHO_FRAMES = 28  # frames that an echo may lie back: 500 ms of delay, and a window's smear
_RETURN_LOSS = 20.0  # dB by which an echo is weaker than what was sent
_MARGIN = 1.0  # dB for what falls between two windows of what was sent
_COUPLING = 10 ** ((_MARGIN - _RETURN_LOSS) / 10)


class EchoBound:
    """The strongest echo that each band of a stream's inbound audio may have."""

    def __init__(self) -> None:
        # The end of what was sent, which is a part of the next frame's window.
        self._tail: Window = np.zeros(OVERLAP, np.float32)
        self._sent = np.zeros((ECHO_FRAMES, BANDS))  # band powers of the latest frames sent, as a ring
        self._next = 0

    def push(self, pcm: bytes) -> None:
        """Take what was sent since the last call: whole frames of 16-bit PCM, of which the last 28 matter."""
        samples = from_bytes(pcm[-ECHO_FRAMES * FRAME_BYTES :])
        frames = len(samples) // FRAME_SAMPLES
        if not frames:
            return
        if len(pcm) > len(samples) * SAMPLE_BYTES:
            self._tail = np.zeros(OVERLAP, np.float32)
        sound: Window = np.concatenate((self._tail, samples.astype(np.float32)))
        windows = np.stack([sound[at : at + WINDOW] for at in range(0, frames * FRAME_SAMPLES, FRAME_SAMPLES)])
        for powers in band_powers(windows):
            self._sent[self._next] = powers
            self._next = (self._next + 1) % ECHO_FRAMES
        self._tail = sound[-OVERLAP:]

    def strongest(self) -> Signal:
        """The power that an echo may have in each band at most, shape (14,)."""
        bound: Signal = _COUPLING * self._sent.max(axis=0)
        return bound
