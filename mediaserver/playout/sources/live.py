"""A live source plays audio as it arrives, such as another party's, by way of a bounded buffer."""

from collections import deque
from collections.abc import Iterator

from mediaserver.audio.pcm import FRAME_BYTES, SAMPLE_BYTES, SAMPLE_RATE, SILENCE
from mediaserver.playout.sources.source import LIVE, Source
from mediaserver.wire.encapsulation import Encoding

_SLACK_MS = 200  # default limit of the audio that waits in a live source beyond its delay, in ms


def _bytes_of(ms: int) -> int:
    return ms * SAMPLE_RATE // 1000 * SAMPLE_BYTES


class LiveSource(Source):
    """A source that plays the pushed audio `delay_ms` later, and silence while there is none, until `end`.

    After an underrun, the source sends silence until `delay_ms` of audio wait again. If more than `delay_ms` and
    `slack_ms` together wait, the oldest audio is dropped until `delay_ms` wait. `dropped` counts the samples that
    were dropped because audio was pushed faster than it is played.
    """

    live = True

    def __init__(self, delay_ms: int = 0, slack_ms: int = _SLACK_MS) -> None:
        self._delay_bytes = max(FRAME_BYTES, _bytes_of(delay_ms))
        self._max_bytes = self._delay_bytes + _bytes_of(slack_ms)
        self._max_frames = self._max_bytes // FRAME_BYTES
        self._waiting_frames: deque[bytes] = deque()  # whole frames of PCM that wait to be played
        self._rest = b""  # pushed PCM after the last whole frame, less than one frame
        self._playing = self._ended = False
        self.underruns = 0
        self.dropped = 0

    def push_audio(self, pcm: bytes) -> None:
        """Append PCM (16-bit little-endian, 8 kHz, mono) to be played, any number of samples."""
        if len(pcm) == FRAME_BYTES and not self._rest:
            self._waiting_frames.append(pcm)
        else:
            self._append(self._rest + pcm)
        if len(self._waiting_frames) >= self._max_frames and self._waiting > self._max_bytes:
            over = self._waiting - self._delay_bytes
            pcm = b"".join(self._waiting_frames) + self._rest
            self._waiting_frames.clear()
            self._append(pcm[over:])
            self.dropped += over // SAMPLE_BYTES

    def end(self) -> None:
        """End the source when all waiting audio is played. No audio may be pushed after this call."""
        self._ended = True
        if self._rest:
            self._waiting_frames.append(self._rest.ljust(FRAME_BYTES, b"\0"))
            self._rest = b""

    def drop_audio(self) -> None:
        """Drop the waiting audio. What is pushed later is played `delay_ms` later, as at the beginning."""
        self._waiting_frames.clear()
        self._rest, self._playing = b"", False

    def _append(self, pcm: bytes) -> None:
        """Cut PCM into frames that wait to be played, and keep the rest of less than a frame."""
        whole = len(pcm) - len(pcm) % FRAME_BYTES
        self._waiting_frames += [pcm[at : at + FRAME_BYTES] for at in range(0, whole, FRAME_BYTES)]
        self._rest = pcm[whole:]

    @property
    def _waiting(self) -> int:
        """The number of bytes of audio that wait to be played."""
        return len(self._waiting_frames) * FRAME_BYTES + len(self._rest)

    @property
    def playing(self) -> str:
        """ "live" while audio is played, "" during silence."""
        return LIVE if self._playing else ""

    @property
    def upcoming(self) -> bytes:
        """The next frame of the audio that plays; b"" for silence."""
        return self._waiting_frames[0] if self._playing and self._waiting_frames else b""

    def iter_frames(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        """The encoded frames to play."""
        return map(encoding.encoder, iter(self._next_frame, None))

    def _next_frame(self) -> bytes | None:
        """The next frame, None at the end."""
        if self._waiting_frames and (self._playing or self._ended or self._waiting >= self._delay_bytes):
            self._playing = True
            return self._waiting_frames.popleft()
        if self._ended:
            return None
        self.underruns += self._playing
        self._playing = False
        return SILENCE
