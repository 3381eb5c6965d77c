"""How strong the echo of what was played can be, at most: sound that is weaker may be nothing but echo.

An echo comes back 20 to 500 ms later, at least 20 dB weaker than it was sent, in the same bands. So in each band
it is no stronger than the strongest of the last frames that were sent, less 20 dB. The bound holds from the first
frame on, for every delay, and however the delay changes. It also holds for codecs that distort the echo.
"""

from collections.abc import Sequence

import numpy as np

from mediaserver.audio.detection.spectrum import BANDS, OVERLAP, WINDOW, Window, band_powers
from mediaserver.audio.pcm import FRAME_BYTES, FRAME_SAMPLES, SAMPLE_BYTES, Signal, from_bytes

ECHO_FRAMES = 28  # number of the latest sent frames whose echo may still come: 500 ms, and a window's length
_RETURN_LOSS = 20.0  # dB by which an echo is weaker than what was sent
_MARGIN = 1.0  # dB of allowance for sound that falls between two windows of the sent audio
_COUPLING = 10 ** ((_MARGIN - _RETURN_LOSS) / 10)


class EchoBound:
    """The strongest echo that each band of a stream's inbound audio may have."""

    def __init__(self) -> None:
        # The last samples that were sent: the window for the spectrum of the next sent frame begins with them.
        self._tail: Window = np.zeros(OVERLAP, np.float32)
        self._sent: Window = np.zeros(
            (ECHO_FRAMES, BANDS), np.float32
        )  # band powers of the latest frames sent, a ring buffer
        self._next = 0
        self._silent = ECHO_FRAMES + 1  # number of silent frames in a row that were sent last

    def push(self, pcm: bytes) -> list[Window]:
        """Take what was sent since `push` was last called: whole frames of 16-bit PCM. The last 28 matter.

        Returns the windows of 256 samples whose band powers `keep` must be given next.
        """
        frames = len(pcm) // FRAME_BYTES
        if pcm.count(0) == len(pcm):
            self._silent += frames
            if self._silent > ECHO_FRAMES + frames:  # every frame whose powers are kept was silent
                return []
        else:
            self._silent = 0
        samples = from_bytes(pcm[-ECHO_FRAMES * FRAME_BYTES :])
        if len(pcm) > len(samples) * SAMPLE_BYTES:
            self._tail = np.zeros(OVERLAP, np.float32)
        sound: Window = np.concatenate((self._tail, samples.astype(np.float32)))
        self._tail = sound[-OVERLAP:]
        return [sound[at : at + WINDOW] for at in range(0, len(samples), FRAME_SAMPLES)]

    def keep(self, powers: Window) -> None:
        """Keep the band powers of windows of the sent audio, shape (n, 14)."""
        for each in powers:
            self._sent[self._next] = each
            self._next = (self._next + 1) % ECHO_FRAMES

    @property
    def may_echo(self) -> bool:
        """Whether any of the frames whose echo may still come was not silent."""
        return self._silent <= ECHO_FRAMES

    def strongest(self) -> Signal:
        """The power that an echo may have in each band at most, shape (14,)."""
        bound: Signal = _strongest([self])[0]
        return bound


def push_all(bounds: Sequence[EchoBound], pcm: Sequence[bytes]) -> Signal:
    """Take what was sent to each of several streams, and return the strongest echo of each, shape (n, 14)."""
    windows = [bound.push(sent) if sent else [] for bound, sent in zip(bounds, pcm, strict=True)]
    every = [window for of_one in windows for window in of_one]
    if every:
        powers, at = band_powers(np.stack(every)), 0
        for bound, of_one in zip(bounds, windows, strict=True):
            bound.keep(powers[at : at + len(of_one)])
            at += len(of_one)
    return _strongest(bounds)


def _strongest(bounds: Sequence[EchoBound]) -> Signal:
    result: Signal = np.zeros((len(bounds), BANDS))
    echoing = [n for n, bound in enumerate(bounds) if bound.may_echo]
    if echoing:
        result[echoing] = np.stack([bounds[n]._sent for n in echoing]).max(axis=1)
    result *= _COUPLING
    return result
