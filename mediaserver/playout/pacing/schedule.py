"""A stream's place on the ticker's wheel, and what it has sent there and in the places that it had before."""

from collections.abc import Iterator

from mediaserver.playout.pacing.ticker import Slot, Stream, Ticker


class KeyPath:
    """Where a stream sits while it sends. What it has sent is told by how often its slot has fired."""

    __slots__ = ("_at_joining", "_before", "_slot", "_ticker")

    def __init__(self, ticker: Ticker) -> None:
        self._ticker = ticker
        self._slot: Slot | None = None
        self._before = self._at_joining = (0, 0, 0)  # frames sent, caught up, skipped

    @property
    def taken(self) -> bool:
        """Whether the stream sits somewhere."""
        return self._slot is not None

    def take(self, stream: Stream, sending: Iterator[None], lead: int, listen_ns: int) -> None:
        """Sit down in a slot of that lead, after `listen_ns` at the earliest."""
        self._slot = slot = self._ticker.join(stream, sending, lead, listen_ns)
        self._at_joining = slot.fired, slot.late, slot.skipped

    def leave(self, stream: Stream) -> None:
        """Send nothing any more."""
        if self._slot is not None:
            self._before = self.fired, self.late, self.skipped
            self._ticker.leave(stream, self._slot)
            self._slot = None

    def replace(self, stream: Stream, sending: Iterator[None]) -> None:
        """From the next tick on, send something else."""
        if self._slot is not None:
            self._slot.replace(stream, sending)

    @property
    def fired(self) -> int:
        """Frames that were due, and so were sent."""
        return self._before[0] + (self._slot.fired - self._at_joining[0] if self._slot is not None else 0)

    @property
    def late(self) -> int:
        """Frames of these that were caught up after their time."""
        return self._before[1] + (self._slot.late - self._at_joining[1] if self._slot is not None else 0)

    @property
    def skipped(self) -> int:
        """Frames' worth of time by which the stream's schedule has moved."""
        return self._before[2] + (self._slot.skipped - self._at_joining[2] if self._slot is not None else 0)
