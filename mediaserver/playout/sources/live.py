"""A live source plays audio as it arrives, such as another party's, by way of a bounded buffer."""

from collections.abc import Iterator

from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE, SILENCE
from mediaserver.playout.sources.source import Source
from mediaserver.wire.encapsulation import Encoding

_SLACK_MS = 200  # ms of audio that may wait beyond the delay; if more waits, all audio beyond the delay is dropped


def _bytes_of(ms: int) -> int:
    return ms * SAMPLE_RATE // 1000 * SAMPLE_BYTES


class LiveSource(Source):
    """A source without end that plays the pushed audio `delay_ms` later, and silence while there is none.

    After an underrun, the source sends silence until `delay_ms` of audio wait again. `dropped` counts the samples
    that were dropped because audio was pushed faster than it is played.
    """

    def __init__(self, delay_ms: int = 0) -> None:
        self._delay_bytes = max(FRAME_BYTES, _bytes_of(delay_ms))
        self._max_bytes = self._delay_bytes + _bytes_of(_SLACK_MS)
        self._buffer = bytearray()
        self._playing = False
        self.underruns = 0
        self.dropped = 0

    def push_audio(self, pcm: bytes) -> None:
        """Append PCM (16-bit little-endian, 8 kHz, mono) to be played, any number of samples."""
        self._buffer += pcm
        over = len(self._buffer) - self._max_bytes
        if over > 0:
            over = len(self._buffer) - self._delay_bytes
            del self._buffer[:over]
            self.dropped += over // SAMPLE_BYTES

    def iter_frames(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        """The encoded frames to play, an iterator without end."""
        return map(encoding.encode, iter(self._next_frame, None))

    def _next_frame(self) -> bytes:
        buffer = self._buffer
        if len(buffer) < (FRAME_BYTES if self._playing else self._delay_bytes):
            self.underruns += self._playing
            self._playing = False
            return SILENCE
        self._playing = True
        frame = bytes(buffer[:FRAME_BYTES])
        del buffer[:FRAME_BYTES]
        return frame
