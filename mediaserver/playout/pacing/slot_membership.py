"""A stream's membership in a slot of the ticker, and the number of ticks that the stream has had."""

from collections.abc import Iterator

from mediaserver.playout.pacing.slot import PacedStream, Slot
from mediaserver.playout.pacing.ticker import Ticker


class SlotMembership:
    """The slot of the ticker that one stream is in while it sends.

    The stream's ticks are not counted one by one: their number is the growth of the slot's counter since the
    stream joined the slot.
    """

    __slots__ = ("_at_joining", "_before", "_slot", "_ticker")

    def __init__(self, ticker: Ticker) -> None:
        self._ticker = ticker
        self._slot: Slot | None = None
        # Numbers of ticks, late ticks and skipped ticks. `_before` has the stream's own ones in its earlier slots;
        # `_at_joining` has those of the current slot when the stream joined it.
        self._before = self._at_joining = (0, 0, 0)

    @property
    def joined(self) -> bool:
        """Whether the stream is in a slot, and so sends a frame at each of the slot's ticks."""
        return self._slot is not None

    def join(self, stream: PacedStream, messages: Iterator[bytes], lead: int, listen_ns: int) -> None:
        """Join a slot that has this `lead`, and whose next tick is at least `listen_ns` nanoseconds away."""
        self._slot = slot = self._ticker.join(stream, messages, lead, listen_ns)
        self._at_joining = slot.ticks, slot.late_ticks, slot.skipped_ticks

    def leave(self, stream: PacedStream) -> None:
        """Leave the slot, so that no more frames are sent."""
        if self._slot is not None:
            self._before = self.ticks, self.late_ticks, self.skipped_ticks
            self._ticker.leave(stream, self._slot)
            self._slot = None

    def replace(self, stream: PacedStream, messages: Iterator[bytes]) -> None:
        """From the next tick on, send the messages of another iterator, one for each frame of the stream."""
        if self._slot is not None:
            self._slot.replace(stream, messages)

    @property
    def ticks(self) -> int:
        """How many ticks the stream has had; at each tick, one frame of the stream was due."""
        return self._before[0] + (self._slot.ticks - self._at_joining[0] if self._slot is not None else 0)

    @property
    def late_ticks(self) -> int:
        """How many ticks were run after their time, to catch up after a stall; `ticks` counts them, too."""
        return self._before[1] + (self._slot.late_ticks - self._at_joining[1] if self._slot is not None else 0)

    @property
    def skipped_ticks(self) -> int:
        """How many ticks were skipped because the process had stalled; the schedule has moved by as many."""
        return self._before[2] + (self._slot.skipped_ticks - self._at_joining[2] if self._slot is not None else 0)
