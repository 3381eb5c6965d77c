"""The one clock of all streams: a wheel of slots, which turns once in each ptime of 20 ms.

Every stream is in one slot and sends one frame at each tick of the slot, every 20 ms, so frame *n* is due at a
fixed time and nothing drifts. Slots are filled one by one, each up to `STREAMS_PER_SLOT` streams, because a
wake-up costs the process as much as some ten frames. Once all slots are that full, load spreads evenly.

When the process has stalled, a stream catches up at most as many ticks (late ticks) as its lead has frames: the
far end has played the lead meanwhile, and any more frames would stay in its queue for good. The other ticks are
skipped, and the stream's schedule moves by as many frames.

The hot path is `Slot.fire`: no logging, no await, no count per frame, and one call per frame, `next` of an
iterator that writes; the rest runs in C. How many frames a stream has sent is read off the ticks of its slot.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from mediaserver.playout.pacing.alarm import Alarm
from mediaserver.playout.sources.source import SOURCE_FAULTS
from mediaserver.support.metrics import Lateness

PTIME_NS = 20_000_000
STREAMS_PER_SLOT = 100  # a slot takes more only if no slot due soon has room; sending 100 frames takes 0.5 ms
_MAX_WAIT_NS = 15_000_000  # a stream's first frame is sent within this time, unless all slots due by then are full
_CHECK_EVERY = 10  # ticks between two checks of the streams' send buffers


class PacedStream(Protocol):
    """The pacer of one stream, as a slot sees it. None of the methods may raise."""

    def on_source_end(self) -> None:
        """Called when a frame is due, and the iterator of writes is at its end."""

    def on_write_error(self, error: BaseException) -> None:
        """Called when making or writing a frame that is due has raised an error."""

    def check_send_buffer(self) -> None:
        """Check whether the peer still takes what is sent."""


class Slot:
    """Streams with the same lead, which send at the same moment of every ptime."""

    __slots__ = ("late_ticks", "lead", "skipped_ticks", "streams", "ticks", "writes")

    def __init__(self, lead: int) -> None:
        self.lead = lead  # the most ticks that are caught up after a stall
        self.streams: list[PacedStream] = []
        self.writes: list[Iterator[None]] = []  # each stream's iterator, which writes a frame at each `next`
        self.ticks = 0  # ticks so far; a stream that was here for all of them has sent as many frames
        self.late_ticks = 0  # ticks that were caught up after their time; `ticks` counts them, too
        self.skipped_ticks = 0  # ticks never run: the schedule has moved by as many frames

    def replace(self, stream: PacedStream, writes: Iterator[None]) -> None:
        """From the next tick on, use another iterator for a stream of this slot."""
        self.writes[self.streams.index(stream)] = writes

    def fire(self) -> None:
        """Run one tick: send a frame of each stream."""
        self.ticks += 1
        for writes in self.writes:
            try:
                next(writes)
            except StopIteration:
                self._stream_of(writes).on_source_end()
            except SOURCE_FAULTS as error:  # one stream's fault must not reach the others
                self._stream_of(writes).on_write_error(error)

    def _stream_of(self, writes: Iterator[None]) -> PacedStream:
        return self.streams[self.writes.index(writes)]


class Ticker:
    """The wheel of slots, and the alarm that turns it. `clock` gives monotonic nanoseconds."""

    def __init__(
        self,
        make_alarm: Callable[[Callable[[], None]], Alarm],
        clock: Callable[[], int] = time.monotonic_ns,
        slots: int = 20,
    ) -> None:
        self._clock = clock
        self._wheel: list[list[Slot]] = [[] for _ in range(slots)]  # for each moment of the ptime, a slot per lead
        self._step = PTIME_NS // slots
        self._epoch = clock()
        self._next = 0  # the first step not yet run, counted from the epoch; step n is at moment n % slots
        self._alarm = make_alarm(self.tick)
        self.streams = 0
        self.frames = 0  # frames sent by all streams since the start
        self.late_ticks = 0  # the sum of all streams
        self.skipped_ticks = 0  # the sum of all streams
        self.lateness = Lateness()

    def join(self, stream: PacedStream, writes: Iterator[None], lead: int = 0, listen_ns: int = 0) -> Slot:
        """Put a stream into a slot; its first frame is sent at the slot's next tick, which is within a ptime.

        With `listen_ns`, that tick is at least so many nanoseconds away, so that the peer may send first.
        """
        self.tick()  # run overdue steps first: they must not count for this stream
        count = len(self._wheel)
        steps = range(self._next + listen_ns // self._step, self._next + count)
        slot = _slot_for_lead(self._choose_moment([self._wheel[step % count] for step in steps]), lead)
        slot.streams.append(stream)
        slot.writes.append(writes)
        self.streams += 1
        self._arm_alarm()
        return slot

    def _choose_moment(self, ahead: Sequence[list[Slot]]) -> list[Slot]:
        """The fullest moment with room that is due soon; else an empty one; else the one with the fewest streams.

        `ahead` has the moments in the order in which they are due.
        """
        soon = ahead[: _MAX_WAIT_NS // self._step]
        if begun := [moment for moment in soon if 0 < _stream_count(moment) < STREAMS_PER_SLOT]:
            return max(begun, key=_stream_count)
        if empty := [moment for moment in soon if not _stream_count(moment)]:
            # The last one stays among the moments due soon for longest, so that most later streams can join it.
            return empty[-1 if self.streams else 0]
        return min(ahead, key=_stream_count)

    def leave(self, stream: PacedStream, slot: Slot) -> None:
        """Take a stream out of its slot."""
        index = slot.streams.index(stream)
        del slot.streams[index], slot.writes[index]
        self.streams -= 1
        if not self.streams:
            self._alarm.disarm()

    def close(self) -> None:
        """Stop for good, and release the alarm."""
        self._alarm.close()

    def tick(self) -> None:
        """Run every step that is due, and arm the alarm for the next one that has a stream."""
        elapsed = self._clock() - self._epoch
        now = elapsed // self._step
        wheel = self._wheel
        count = len(wheel)
        first, self._next = self._next, max(self._next, now + 1)
        if not self.streams:
            return  # the alarm was disarmed when the last stream left
        try:
            for step in range(first, min(now + 1, first + count)):
                for slot in wheel[step % count]:
                    if slot.streams:
                        self.lateness.add(elapsed - step * self._step)
                        self._run_slot(slot, now - step)
        finally:  # whatever happens, the clock goes on
            self._arm_alarm()

    def _run_slot(self, slot: Slot, late: int) -> None:
        """Run the ticks of a slot that is due and `late` steps behind: normally one tick.

        After a stall, the far end may have run dry; then it plays on when these frames arrive. If the next tick is
        nearer than the last one that was due, at most `lead` frames (but always one) are sent, because with one
        more, and the next frame soon after, the far end's queue would become longer than the lead.
        """
        ptime, count = len(self._wheel), len(slot.streams)
        due, most = 1 + late // ptime, slot.lead + (late % ptime < ptime / 2)
        times = min(due, max(1, most))
        for _ in range(times):
            slot.fire()
        self.frames += times * count
        if due > 1:
            slot.late_ticks += times - 1
            slot.skipped_ticks += due - times
            self.late_ticks += (times - 1) * count
            self.skipped_ticks += (due - times) * count
        if slot.ticks % _CHECK_EVERY < times:
            for stream in slot.streams[:]:
                stream.check_send_buffer()

    def _arm_alarm(self) -> None:
        wheel = self._wheel
        for step in range(self._next, self._next + len(wheel)):
            for slot in wheel[step % len(wheel)]:
                if slot.streams:
                    self._alarm.arm(self._epoch + step * self._step)
                    return


def _stream_count(moment: list[Slot]) -> int:
    """Streams that send at a moment."""
    return sum(len(slot.streams) for slot in moment)


def _slot_for_lead(moment: list[Slot], lead: int) -> Slot:
    """The slot of that moment which has this lead; it is made if there is none."""
    for slot in moment:
        if slot.lead == lead:
            return slot
    moment.append(slot := Slot(lead))
    return slot
