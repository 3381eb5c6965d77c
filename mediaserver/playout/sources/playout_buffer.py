"""The playout buffer for speech, which comes in whole sentences at once (TTS), or as it is spoken."""

from collections import deque
from collections.abc import Callable, Iterator

from mediaserver.audio.pcm import FRAME_BYTES, FRAMES_PER_SECOND, PTIME, SAMPLE_BYTES, SILENCE
from mediaserver.playout.sources.source import Source
from mediaserver.wire.encapsulation import Encoding

MAX_SECONDS = 120  # seconds of audio that may wait
MAX_MARKS = 4096  # marks that may be pending
_MARKS_PER_TICK = 32  # no more marks are called per tick, so that thousands do not delay other streams
_UNDERRUN_FRAMES = 5  # audio that comes within so many frames of the last audio continues it, and was late


class PlayoutBuffer(Source):
    """Plays the audio that is pushed, end to end, and silence while there is none. It never ends.

    After silence, audio waits until there is `delay_ms` of it, but no longer than `delay_ms`: so a sentence that
    comes whole is not delayed, and one that is sent as it is spoken may arrive unevenly by that much. Silence
    between utterances is no underrun. Where audio goes on within a tenth of a second, it was late, and the silence
    before it counts as underruns. `dropped` counts samples for which there was no room.
    """

    def __init__(self, delay_ms: int = 0) -> None:
        self._delay = round(delay_ms / 1000 / PTIME)  # frames
        self._buffer = bytearray()
        self._playing = False  # the delay is over: each frame is played as soon as it is due
        self._delayed = 0  # frames of silence sent while the audio has waited
        self._silent = _UNDERRUN_FRAMES + 1  # frames since the last audio
        self._pushed = self._played = 0  # bytes pushed and bytes played so far
        self._marks: deque[tuple[int, Callable[[], None]]] = deque()  # bytes to play before the call, and the call
        self.underruns = 0
        self.dropped = 0

    @property
    def accepted(self) -> int:
        """Samples pushed so far, without those dropped."""
        return self._pushed // SAMPLE_BYTES

    def push_audio(self, pcm: bytes) -> None:
        """Append audio, any number of samples; those for which there is no room are dropped."""
        room = MAX_SECONDS * FRAMES_PER_SECOND * FRAME_BYTES - len(self._buffer)
        self.dropped += max(0, len(pcm) - room) // SAMPLE_BYTES
        self._buffer += pcm[:room]
        self._pushed += len(pcm[:room])

    def add_mark(self, on_played: Callable[[], None]) -> bool:
        """Call `on_played` at the tick when all audio pushed so far is played; False where too many marks wait."""
        if len(self._marks) >= MAX_MARKS:
            return False
        self._marks.append((self._pushed, on_played))
        return True

    def clear(self) -> None:
        """Drop the audio; its marks are called at the next ticks."""
        self._buffer.clear()
        self._played, self._playing, self._delayed, self._silent = self._pushed, False, 0, _UNDERRUN_FRAMES + 1

    def reset(self) -> None:
        """Drop the audio and the marks, which are not called any more."""
        self._marks.clear()
        self.clear()

    def iter_frames(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        """The frames to play, without end."""
        return map(encoding.encode, iter(self._next_frame, None))

    def _call_marks(self) -> None:
        marks = self._marks
        for _ in range(min(len(marks), _MARKS_PER_TICK)):
            if marks[0][0] > self._played:
                return
            marks.popleft()[1]()

    def _next_frame(self) -> bytes:
        if self._marks:
            self._call_marks()
        buffer = self._buffer
        if not buffer:
            self._playing, self._delayed = False, 0
            self._silent += 1
            return SILENCE
        if not self._playing:
            if len(buffer) < self._delay * FRAME_BYTES and self._delayed < self._delay:
                self._delayed += 1
                return SILENCE
            self._playing = True
            if 0 < self._silent <= _UNDERRUN_FRAMES:
                self.underruns += self._silent + self._delayed
        self._silent = 0
        frame = bytes(buffer[:FRAME_BYTES])
        del buffer[:FRAME_BYTES]
        self._played += len(frame)
        return frame if len(frame) == FRAME_BYTES else frame.ljust(FRAME_BYTES, b"\0")
