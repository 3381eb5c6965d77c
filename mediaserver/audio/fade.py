"""Fades, by which sound ends without a click where it is stopped."""

import numpy as np

from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES, from_bytes, to_bytes

FADE_SAMPLES = 40  # number of samples in a fade: 5 ms
_FADE_BYTES = FADE_SAMPLES * SAMPLE_BYTES
_BITS = 15
# A raised cosine from nearly 1 to 0, in integers of 15 bits, so that every processor computes the same samples.
_WEIGHTS = np.rint(
    (0.5 + 0.5 * np.cos(np.pi * np.arange(1, FADE_SAMPLES + 1) / FADE_SAMPLES)) * (1 << _BITS)
).astype(np.int64)


def fade_out(frame: bytes) -> bytes:
    """The first 5 ms of a frame of 320 bytes of PCM, faded to zero by a raised cosine, and then silence."""
    faded = (from_bytes(frame[:_FADE_BYTES]) * _WEIGHTS + (1 << _BITS - 1)) >> _BITS
    return to_bytes(faded.astype(np.int16)).ljust(FRAME_BYTES, b"\0")
