"""A live source: sound as it comes, from a bounded queue."""

from collections.abc import Iterator

from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE, SILENCE
from mediaserver.playout.sources.source import Source
from mediaserver.wire.encapsulation import Encoding

_SLACK_MS = 200  # of jitter: sound that waits this much longer than it should makes the oldest give way


def _bytes_of(ms: int) -> int:
    return ms * SAMPLE_RATE // 1000 * SAMPLE_BYTES


class Live(Source):
    """Plays what is put into it, `delay_ms` later; silence where nothing is there, and never an end.

    When it runs dry it waits for so much sound again. `dropped` counts samples that came too fast.
    """

    def __init__(self, delay_ms: int = 0) -> None:
        self._delay = max(FRAME_BYTES, _bytes_of(delay_ms))
        self._most = self._delay + _bytes_of(_SLACK_MS)
        self._waiting = bytearray()
        self._playing = False
        self.underruns = 0
        self.dropped = 0

    def put(self, pcm: bytes) -> None:
        """Add sound, of any length."""
        self._waiting += pcm
        over = len(self._waiting) - self._most
        if over > 0:
            over = len(self._waiting) - self._delay
            del self._waiting[:over]
            self.dropped += over // SAMPLE_BYTES

    def items(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        """Its items, without end."""
        return map(encoding.encode, iter(self._frame, None))

    def _frame(self) -> bytes:
        waiting = self._waiting
        if len(waiting) < (FRAME_BYTES if self._playing else self._delay):
            self.underruns += self._playing
            self._playing = False
            return SILENCE
        self._playing = True
        frame = bytes(waiting[:FRAME_BYTES])
        del waiting[:FRAME_BYTES]
        return frame
