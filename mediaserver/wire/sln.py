"""Signed linear: raw 16-bit little-endian PCM at 8 kHz without any header.

The platform may label µ-law as signed linear: 160-byte messages at 50/s. Sizes alone cannot tell that from
10 ms of linear PCM at 100/s, so the depacketizer is told when each message arrived and looks at the rate.
"""

from mediaserver.audio import g711
from mediaserver.audio.pcm import FRAME_SAMPLES, SAMPLE_BYTES, to_bytes
from mediaserver.errors import ProtocolError
from mediaserver.wire.events import Audio

_MULAW_BYTES = FRAME_SAMPLES  # one code per sample
_RATE_LIMIT = 75.0  # messages/s: half way between 50 (µ-law) and 100 (linear PCM of 10 ms)
_ENOUGH = 10  # messages before a rate counts for anything
_PAUSE = 0.2  # seconds without a message, after which the rate is measured anew


class Depacketizer:
    """One stream's inbound signed linear, with the µ-law that may hide in it."""

    def __init__(self) -> None:
        self._count = 0
        self._first = self._last = 0.0

    def depacketize(self, data: bytes, at: float) -> Audio:
        """The audio of one message that arrived at `at` seconds; ProtocolError on half a sample."""
        if self._is_mulaw(data, at):
            return Audio(to_bytes(g711.mulaw_decode(data)))
        if not data or len(data) % SAMPLE_BYTES:
            raise ProtocolError(f"{len(data)} bytes are not 16-bit PCM")
        return Audio(data)

    def _is_mulaw(self, data: bytes, at: float) -> bool:
        if len(data) != _MULAW_BYTES:
            self._count = 0
            return False
        if not self._count or at - self._last > _PAUSE:
            self._count, self._first = 0, at
        self._last = at
        self._count += 1
        return self._count < _ENOUGH or (self._count - 1) < _RATE_LIMIT * (at - self._first)
