"""The queue of chan_websocket: what the application sent and the caller has not heard yet.

Seen: messages are cut into frames, and the rest of one is lost; XOFF comes at 900 frames, XON below 800, and what
is beyond 1000 is dropped in silence. Read: where there are 1000 frames already, a message is dropped as a whole;
while media is buffered, rests are kept, and the last one is padded; marks have their place in the queue; what is
told but XOFF is told at the tick of a frame, and nothing in a pause.
"""

from collections import deque
from typing import NamedTuple

Event = tuple[str, str | None]


class Mark(NamedTuple):
    """A place in the queue, of which the application wants to know when it is reached."""

    name: str  # of the event
    id: str | None


class MediaQueue:
    """Frames and marks, in turn. Methods give the events that the application is told."""

    def __init__(self, frame_bytes: int, silence: bytes, xoff: int, xon: int, most: int) -> None:
        self.length = 0  # in frames
        self.paused = False
        self.buffering = False
        self.full = False
        self.overflowed = 0  # frames
        self.lost_bytes = 0
        self._silence = silence
        self._entries: deque[bytes | Mark] = deque()
        self._size, self._xoff, self._xon, self._most = frame_bytes, xoff, xon, most
        self._rest = b""
        self._report_drained = False

    def media(self, data: bytes) -> list[Event]:
        """A binary message."""
        if self.length >= self._most:
            self.overflowed += len(data) // self._size
            return []
        data = self._rest + data
        whole = len(data) - len(data) % self._size
        for at in range(0, whole, self._size):
            self._frame(data[at : at + self._size])
        rest = data[whole:]
        self._rest = rest if self.buffering else b""
        self.lost_bytes += 0 if self.buffering else len(rest)
        return self._xoff_event()

    def mark(self, id_: str | None) -> None:
        self._entries.append(Mark("MEDIA_MARK_PROCESSED", id_))

    def start_buffering(self) -> None:
        self.buffering = True

    def stop_buffering(self, id_: str | None) -> list[Event]:
        self.buffering = False
        if self._rest:
            self._frame(self._rest + self._silence[len(self._rest) :])
            self._rest = b""
        self._entries.append(Mark("MEDIA_BUFFERING_COMPLETED", id_))
        return self._xoff_event()

    def flush(self) -> None:
        """Read: the marks go with the frames, and are never told of; so does a rest."""
        self._entries.clear()
        self._rest = b""
        self.length = 0
        self.buffering = False

    def report_drained(self) -> None:
        """Tell once, at the first tick that finds the queue empty."""
        self._report_drained = True

    def play(self) -> tuple[bytes | None, list[Event]]:
        """The next frame, None where there is none or a pause, and what is told then."""
        if self.paused:
            return None, []
        events: list[Event] = []
        if self.full and self.length < self._xon:
            self.full = False
            events.append(("MEDIA_XON", None))
        if not self._entries and self._report_drained:
            self._report_drained = False
            events.append(("QUEUE_DRAINED", None))
        while self._entries:
            entry = self._entries.popleft()
            if not isinstance(entry, Mark):
                self.length -= 1
                return entry, events
            events.append((entry.name, entry.id))
        return None, events

    def _frame(self, frame: bytes) -> None:
        self._entries.append(frame)
        self.length += 1

    def _xoff_event(self) -> list[Event]:
        if self.full or self.length < self._xoff:
            return []
        self.full = True
        return [("MEDIA_XOFF", None)]
