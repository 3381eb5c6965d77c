"""One clock for all streams: a wheel of slots within each ptime.

Every stream sits in one slot and sends one frame each time the slot comes round, every 20 ms, so frame *n* is due
at a fixed time and nothing drifts. Slots are filled one by one, each up to `BURST` streams, because to wake up
costs a process as much as some ten frames; only then load spreads evenly over the ptime. Lost time (a stall of
the process) is caught up by as many frames as the stream runs ahead, its lead: so many the far end has played
meanwhile, and any more would wait there for good. The rest moves the schedule.

The hot path is `Slot.fire`: no logging, no await, nothing counted per frame, and one call a frame, `next` of an
iterator that sends; the rest runs in C. What a stream has sent is told by how often its slot has fired.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from mediaserver.playout.pacing.alarm import Alarm
from mediaserver.playout.sources.source import SOURCE_FAULTS
from mediaserver.support.metrics import Lateness

PTIME_NS = 20_000_000
BURST = 100  # frames sent one right after the other as long as there are slots without streams: half a millisecond
_SOON_NS = 15_000_000  # wait for the first frame, at most, as long as there are slots with room
_CHECK_EVERY = 10  # turns of a slot between looks at its streams' send buffers


class Stream(Protocol):
    """What sits in a slot: the pacer of one stream."""

    def advance(self) -> None:
        """What it sends is at its end, and a frame is due."""

    def fail(self, error: BaseException) -> None:
        """A frame could not be made or written."""

    def check(self) -> None:
        """Look whether the peer still takes what is sent."""


class Slot:
    """Streams of one lead that send at the same moment of every ptime."""

    __slots__ = ("fired", "late", "lead", "sending", "skipped", "streams")

    def __init__(self, lead: int) -> None:
        self.lead = lead  # frames that are caught up at the most
        self.streams: list[Stream] = []
        self.sending: list[Iterator[None]] = []  # what each sends: a frame whenever it is asked for its next
        self.fired = 0  # frames sent by each stream that was here all along
        self.late = 0  # of these, caught up after their time
        self.skipped = 0  # frames' worth of time by which the schedule has moved

    def replace(self, stream: Stream, sending: Iterator[None]) -> None:
        """From now on, a stream of this slot sends something else."""
        self.sending[self.streams.index(stream)] = sending

    def fire(self) -> None:
        """Send a frame of each stream."""
        self.fired += 1
        for sending in self.sending:
            try:
                next(sending)
            except StopIteration:
                self._stream_of(sending).advance()
            except SOURCE_FAULTS as error:  # one stream's fault must not reach the others
                self._stream_of(sending).fail(error)

    def _stream_of(self, sending: Iterator[None]) -> Stream:
        return self.streams[self.sending.index(sending)]


class Ticker:
    """The wheel, and the alarm that turns it. `clock` gives monotonic nanoseconds."""

    def __init__(
        self,
        make_alarm: Callable[[Callable[[], None]], Alarm],
        clock: Callable[[], int] = time.monotonic_ns,
        slots: int = 20,
    ) -> None:
        self._clock = clock
        self._wheel: list[list[Slot]] = [[] for _ in range(slots)]  # by moment: a slot for each lead
        self._step = PTIME_NS // slots
        self._epoch = clock()
        self._next = 0  # the first step not yet run, counted from the epoch; step n belongs to moment n % slots
        self._alarm = make_alarm(self.tick)
        self.streams = 0
        self.frames = 0  # sent by all streams since the start
        self.late_frames = 0
        self.skipped_frames = 0
        self.lateness = Lateness()

    def join(self, stream: Stream, sending: Iterator[None], lead: int = 0, listen_ns: int = 0) -> Slot:
        """Put a stream into a slot: its first frame is sent when that is due, within a ptime.

        With `listen_ns`, only moments after it count: a peer may say something first.
        """
        self.tick()  # what is overdue is not this stream's
        count = len(self._wheel)
        steps = range(self._next + listen_ns // self._step, self._next + count)
        slot = _slot_of(self._choose([self._wheel[step % count] for step in steps]), lead)
        slot.streams.append(stream)
        slot.sending.append(sending)
        self.streams += 1
        self._arm()
        return slot

    def _choose(self, ahead: Sequence[list[Slot]]) -> list[Slot]:
        """The fullest moment with room that is due soon, or an empty one, or the emptiest.

        `ahead` is in due order.
        """
        soon = ahead[: _SOON_NS // self._step]
        if begun := [moment for moment in soon if 0 < _load(moment) < BURST]:
            return max(begun, key=_load)
        if empty := [moment for moment in soon if not _load(moment)]:
            return empty[-1 if self.streams else 0]  # the last: as many as possible who come later find it soon
        return min(ahead, key=_load)

    def leave(self, stream: Stream, slot: Slot) -> None:
        """Take a stream out of its slot."""
        place = slot.streams.index(stream)
        del slot.streams[place], slot.sending[place]
        self.streams -= 1
        if not self.streams:
            self._alarm.disarm()

    def close(self) -> None:
        """Stop for good."""
        self._alarm.close()

    def tick(self) -> None:
        """Segment every step that is due, and set the alarm for the next one with a stream in it."""
        elapsed = self._clock() - self._epoch
        now = elapsed // self._step
        wheel = self._wheel
        count = len(wheel)
        first, self._next = self._next, max(self._next, now + 1)
        if not self.streams:
            return  # and the alarm was disarmed when the last one left
        try:
            for step in range(first, min(now + 1, first + count)):
                for slot in wheel[step % count]:
                    if slot.streams:
                        self.lateness.add(elapsed - step * self._step)
                        self._turn(slot, now - step)
        finally:  # whatever happens, the clock goes on
            self._arm()

    def _turn(self, slot: Slot, late: int) -> None:
        """A slot is due, so many steps late: as a rule once.

        A far end that has run dry plays on from now: when the next frame is nearer than the one that is due, that
        one would make its queue longer than the lead.
        """
        ptime, count = len(self._wheel), len(slot.streams)
        due, most = 1 + late // ptime, slot.lead + (late % ptime < ptime / 2)
        times = min(due, max(1, most))
        for _ in range(times):
            slot.fire()
        self.frames += times * count
        if due > 1:
            slot.late += times - 1
            slot.skipped += due - times
            self.late_frames += (times - 1) * count
            self.skipped_frames += (due - times) * count
        if slot.fired % _CHECK_EVERY < times:
            for stream in slot.streams[:]:
                stream.check()

    def _arm(self) -> None:
        wheel = self._wheel
        for step in range(self._next, self._next + len(wheel)):
            for slot in wheel[step % len(wheel)]:
                if slot.streams:
                    self._alarm.arm(self._epoch + step * self._step)
                    return


def _load(moment: list[Slot]) -> int:
    """Streams that send at a moment."""
    return sum(len(slot.streams) for slot in moment)


def _slot_of(moment: list[Slot], lead: int) -> Slot:
    """The moment's slot of a lead, made where there is none."""
    for slot in moment:
        if slot.lead == lead:
            return slot
    moment.append(slot := Slot(lead))
    return slot
