"""A live source of what an application says: whole sentences at once, or sound as it is spoken."""

from collections import deque
from collections.abc import Callable, Iterator

from mediaserver.audio.pcm import FRAME_BYTES, FRAMES_PER_SECOND, PTIME, SAMPLE_BYTES, SILENCE
from mediaserver.playout.sources.source import Source
from mediaserver.wire.encapsulation import Encoding

MOST_SECONDS = 120  # of sound that may wait
MOST_MARKS = 4096  # that may be pending
_TOLD = 32  # marks a tick: thousands that are due at once keep nobody else waiting
_LATE = 5  # frames: sound that comes so soon after the last belongs to it, and was late


class PlayoutBuffer(Source):
    """Plays what is put into it end to end, silence where nothing is there, and never ends.

    Sound after silence waits until there is `delay_ms` of it, but no longer than that: a sentence that comes at
    once does not wait, and one that is sent as it is spoken may come that unevenly. Silence between utterances is
    nothing that is missing; where sound goes on within a tenth of a second, it was late, and the silence before
    it counts as underruns. `dropped` counts samples for which there was no room.
    """

    def __init__(self, delay_ms: int = 0) -> None:
        self._delay = round(delay_ms / 1000 / PTIME)  # frames
        self._waiting = bytearray()
        self._begun = False  # under way: its next frame is played as soon as it is due
        self._held = 0  # frames that the sound has waited
        self._dry = _LATE + 1  # frames since the last sound
        self._put = self._given = 0  # bytes so far
        self._marks: deque[tuple[int, Callable[[], None]]] = deque()
        self.underruns = 0
        self.dropped = 0

    @property
    def taken(self) -> int:
        """Samples put so far, without those dropped."""
        return self._put // SAMPLE_BYTES

    def put(self, pcm: bytes) -> None:
        """Add sound, any number of samples; what there is no room for is dropped."""
        room = MOST_SECONDS * FRAMES_PER_SECOND * FRAME_BYTES - len(self._waiting)
        self.dropped += max(0, len(pcm) - room) // SAMPLE_BYTES
        self._waiting += pcm[:room]
        self._put += len(pcm[:room])

    def mark(self, heard: Callable[[], None]) -> bool:
        """Call `heard` at the tick at which the sound put so far is over; False where too many wait already."""
        if len(self._marks) >= MOST_MARKS:
            return False
        self._marks.append((self._put, heard))
        return True

    def clear(self) -> None:
        """Forget the sound; marks are over at the next ticks."""
        self._waiting.clear()
        self._given, self._begun, self._held, self._dry = self._put, False, 0, _LATE + 1

    def forget(self) -> None:
        """Forget sound and marks: nobody is told any more."""
        self._marks.clear()
        self.clear()

    def items(self, encoding: Encoding, start: int = 0) -> Iterator[bytes]:
        """Its items, without end."""
        return map(encoding.encode, iter(self._frame, None))

    def _tell(self) -> None:
        marks = self._marks
        for _ in range(min(len(marks), _TOLD)):
            if marks[0][0] > self._given:
                return
            marks.popleft()[1]()

    def _frame(self) -> bytes:
        if self._marks:
            self._tell()
        waiting = self._waiting
        if not waiting:
            self._begun, self._held = False, 0
            self._dry += 1
            return SILENCE
        if not self._begun:
            if len(waiting) < self._delay * FRAME_BYTES and self._held < self._delay:
                self._held += 1
                return SILENCE
            self._begun = True
            if 0 < self._dry <= _LATE:
                self.underruns += self._dry + self._held
        self._dry = 0
        frame = bytes(waiting[:FRAME_BYTES])
        del waiting[:FRAME_BYTES]
        self._given += len(frame)
        return frame if len(frame) == FRAME_BYTES else frame.ljust(FRAME_BYTES, b"\0")
