"""The playout buffer plays speech that is pushed: whole sentences at once (TTS), or audio as it is spoken."""

from collections import deque
from collections.abc import Callable, Iterator

from mediaserver.audio.fade import fade_out
from mediaserver.audio.pcm import FRAME_BYTES, FRAMES_PER_SECOND, PTIME, SAMPLE_BYTES, SILENCE
from mediaserver.playout.sources.source import LIVE, Source
from mediaserver.wire.encapsulation import Encoding

MAX_SECONDS = 120  # the most seconds of audio that may wait in a buffer
MAX_MARKS = 4096  # the most marks that may wait in a buffer for their audio to be played
_MARKS_PER_TICK = 32  # the most marks whose functions are called at one tick: thousands would delay other streams
_UNDERRUN_FRAMES = 5  # the longest gap in the pushed audio, in frames, that counts as underruns


class PlayoutBuffer(Source):
    """A source without end that plays the pushed audio without gaps, and silence while there is none.

    After silence, new audio is held back until `delay_ms` of audio wait in the buffer, but for `delay_ms` at most.
    A sentence that is pushed whole is therefore not delayed, and audio that is pushed as it is spoken may have
    jitter up to `delay_ms`. Silence between two utterances is no underrun. If audio follows within a tenth of a
    second, it was late, and the silence before it counts as underruns. `dropped` counts the samples for which
    there was no room.
    """

    live = True

    def __init__(self, delay_ms: int = 0) -> None:
        self._delay = round(delay_ms / 1000 / PTIME)  # the most frames for which new audio is held back
        self._buffer = bytearray()
        self._playing = False  # whether audio is played; False while audio is held back, and while there is none
        self._delayed = 0  # number of frames of silence given while the waiting audio is held back
        self._silent = _UNDERRUN_FRAMES + 1  # number of frames since the audio in the buffer ran out
        self._pushed = self._played = 0  # bytes pushed and bytes played so far
        # Marks: the number of bytes to be played before the mark's function is called, and the function.
        self._marks: deque[tuple[int, Callable[[], None]]] = deque()
        self._ending = b""  # the frame in which cleared audio fades out; b"" if there is none
        self.underruns = 0
        self.dropped = 0
        self.clears = 0  # how many times the waiting audio was dropped

    @property
    def accepted(self) -> int:
        """How many samples have been pushed so far, without those that were dropped."""
        return self._pushed // SAMPLE_BYTES

    def push_audio(self, pcm: bytes) -> None:
        """Append PCM (16-bit, 8 kHz, mono), any number of samples; those that do not fit are dropped."""
        room = MAX_SECONDS * FRAMES_PER_SECOND * FRAME_BYTES - len(self._buffer)
        self.dropped += max(0, len(pcm) - room) // SAMPLE_BYTES
        self._buffer += pcm[:room]
        self._pushed += len(pcm[:room])

    def add_mark(self, on_played: Callable[[], None]) -> bool:
        """Have `on_played` called when all audio pushed so far is played; return False if too many marks wait."""
        if len(self._marks) >= MAX_MARKS:
            return False
        self._marks.append((self._pushed, on_played))
        return True

    def clear(self) -> None:
        """Drop the waiting audio. The audio that is playing fades out in the next frame.

        The functions of the audio's marks are called at the next ticks.
        """
        if self._playing and self._buffer:
            self._ending = fade_out(bytes(self._buffer[:FRAME_BYTES]).ljust(FRAME_BYTES, b"\0"))
        self._drop()

    def drop_audio(self) -> None:
        """Drop the waiting audio without a fade, as the pacer has faded it out, or has not been playing it.

        The functions of the audio's marks are called at the next ticks.
        """
        self._ending = b""
        self._drop()

    def _drop(self) -> None:
        self._buffer.clear()
        self.clears += 1
        self._played, self._playing, self._delayed, self._silent = self._pushed, False, 0, _UNDERRUN_FRAMES + 1

    def reset(self) -> None:
        """Drop the waiting audio and all marks, whose functions are not called any more."""
        self._marks.clear()
        self.clear()

    @property
    def playing(self) -> str:
        """ "live" while audio is played, "" during silence."""
        return LIVE if self._playing else ""

    @property
    def upcoming(self) -> bytes:
        """The next 10 ms of the audio that plays; b"" for silence."""
        return bytes(self._buffer[: FRAME_BYTES // 2]) if self._playing else b""

    @property
    def title(self) -> str:
        """ "live", or "" where no audio was pushed at all."""
        return LIVE if self._pushed else ""

    def iter_frames(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        """The encoded frames to play, an iterator without end."""
        return map(encoding.encoder, iter(self._next_frame, None))

    def _call_marks(self) -> None:
        marks = self._marks
        for _ in range(min(len(marks), _MARKS_PER_TICK)):
            if marks[0][0] > self._played:
                return
            marks.popleft()[1]()

    def _next_frame(self) -> bytes:
        if self._marks:
            self._call_marks()
        if self._ending:
            ending, self._ending = self._ending, b""
            return ending
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
