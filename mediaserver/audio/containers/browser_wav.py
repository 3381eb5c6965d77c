"""A WAV stream without end that a browser's `<audio>` element plays within a second.

Chromium plays nothing of a WAV stream before it has 50 packets of 4096 bytes, in blocks of 32 KiB: 229 376 bytes.
At 8 kHz and 16 bits these take 7 s in stereo, and 14 s in mono. At 48 kHz and 32 bits in stereo, the same sound
has as many bytes in 0.6 s.
"""

import numpy as np

from mediaserver.audio.containers import wav
from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_RATE, Chunker, from_bytes, to_bytes
from mediaserver.audio.resample import FrameResampler

RATE, BITS, CHANNELS = 48_000, 32, 2
HEADER = wav.header(CHANNELS, None, RATE, BITS)


class BrowserWav:
    """Converts PCM of 16 bits at 8 kHz, in one or two `channels`, to the samples of such a stream."""

    def __init__(self, channels: int) -> None:
        self._channels = channels
        self._chunker = Chunker(FRAME_BYTES * channels)
        self._resamplers = [FrameResampler(SAMPLE_RATE, RATE) for _ in range(channels)]

    def feed(self, pcm: bytes) -> bytes:
        """The samples of the whole frames of 20 ms that `pcm` completes. One channel is heard on both sides."""
        return b"".join(map(self._convert, self._chunker.feed(pcm)))

    def _convert(self, frame: bytes) -> bytes:
        samples = from_bytes(frame).reshape(-1, self._channels)
        sides = [
            from_bytes(resampler.feed(to_bytes(samples[:, n]))) for n, resampler in enumerate(self._resamplers)
        ]
        both = np.column_stack([sides[0], sides[-1]])
        converted: bytes = (both.astype("<i4") << (BITS - 16)).tobytes()
        return converted
