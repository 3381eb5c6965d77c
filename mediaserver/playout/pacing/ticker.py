"""The ticker is the one clock of all streams: a wheel of slots, which turns once in each ptime of 20 ms.

Every stream is in one slot, and sends one frame at each tick of the slot, every 20 ms. Frame *n* is therefore due
at a fixed time, and the schedule does not drift. A wake-up costs the process as much as sending some ten frames.
Slots are therefore filled one by one, each up to `STREAMS_PER_SLOT` streams. Once all slots have that many
streams, new streams are spread evenly.

After the process has stalled, a stream sends at most as many overdue frames (late ticks) as its lead has frames.
The far end has played the lead meanwhile, and any further frames would lengthen its queue for good. The other
ticks are skipped, and the stream's schedule moves by as many frames.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from mediaserver.playout.pacing.alarm import Alarm
from mediaserver.playout.pacing.slot import PacedStream, Slot
from mediaserver.playout.pacing.transport import Encode, way_to_write
from mediaserver.support.metrics import Lateness

PTIME_NS = 20_000_000  # nanoseconds of audio in a frame, and between two ticks of a slot
# The most streams in a slot, unless no slot that is due soon has room. Sending 100 frames takes 0.5 ms.
STREAMS_PER_SLOT = 100
# The most nanoseconds until a stream's first frame, unless all slots that are due by then are full.
_MAX_WAIT_NS = 15_000_000
_CHECK_EVERY = 10  # number of ticks between two checks of the streams' send buffers


class WriteHold(Protocol):
    """Holds what streams write, and writes it together."""

    def hold(self) -> None:
        """Hold what is written from now on."""

    def release(self) -> None:
        """Write all that is held. It must not raise."""


class Moment:
    """One of the moments into which each ptime (20 ms) is divided.

    At this moment, the ticker runs the moment's slots, which differ in their streams' lead or in how messages are
    encoded, and then calls the moment's polls.
    """

    __slots__ = ("polls", "slots")

    def __init__(self) -> None:
        self.slots: list[Slot] = []
        self.polls: list[Callable[[], None]] = []

    @property
    def streams(self) -> int:
        """The number of streams that send at this moment."""
        return sum(len(slot.streams) for slot in self.slots)

    def slot_for(self, lead: int, encode: Encode | None) -> Slot:
        """The slot with this lead and this way to encode messages; it is made if there is none."""
        for slot in self.slots:
            if slot.lead == lead and slot.encode == encode:
                return slot
        self.slots.append(slot := Slot(lead, encode))
        return slot


class Ticker:
    """The wheel of moments, and the alarm that turns it. `clock` gives monotonic nanoseconds.

    What the streams of a slot write is held by `writes`, if that is given, until all of them have written.
    """

    def __init__(
        self,
        make_alarm: Callable[[Callable[[], None]], Alarm],
        clock: Callable[[], int] = time.monotonic_ns,
        slots: int = 20,
        writes: WriteHold | None = None,
    ) -> None:
        self._clock, self._writes = clock, writes
        self._wheel = [Moment() for _ in range(slots)]
        self._step = PTIME_NS // slots
        self._epoch = clock()
        self._next = 0  # number of the first step of the wheel not yet run; step n runs moment n % slots
        self._alarm = make_alarm(self.tick)
        self._polls = 0
        self.streams = 0
        self.frames = 0  # number of frames sent by all streams since the start
        self.late_ticks = 0  # number of frames of all streams that were sent after their time
        self.skipped_ticks = 0  # number of frames of all streams that were skipped after a stall
        self.lateness = Lateness()

    def join(self, stream: PacedStream, messages: Iterator[bytes], lead: int = 0, listen_ns: int = 0) -> Slot:
        """Put a stream into a slot; its first frame is sent at the slot's next tick, which is within a ptime.

        The slot's next tick is at least `listen_ns` nanoseconds away, so that the peer may send first.
        """
        self.tick()  # run overdue ticks first, so that they are not counted for the new stream
        count = len(self._wheel)
        steps = range(self._next + listen_ns // self._step, self._next + count)
        encode, write = way_to_write(stream.transport)
        slot = self._choose_moment([self._wheel[step % count] for step in steps]).slot_for(lead, encode)
        slot.add(stream, messages, write)
        self.streams += 1
        self._arm_alarm()
        return slot

    def _choose_moment(self, ahead: Sequence[Moment]) -> Moment:
        """Choose the moment of the ptime at which a new stream will send.

        Among the moments that are due soon, it is the fullest one with room, or else an empty one. If all of these
        are full, it is the moment with the fewest streams of all. `ahead` has the moments in the order in which
        they are due.
        """
        soon = ahead[: _MAX_WAIT_NS // self._step]
        if begun := [moment for moment in soon if 0 < moment.streams < STREAMS_PER_SLOT]:
            return max(begun, key=_stream_count)
        if empty := [moment for moment in soon if not moment.streams]:
            # The last empty moment stays among those due soon for longest, so that most later streams can join it.
            return empty[-1 if self.streams else 0]
        return min(ahead, key=_stream_count)

    def leave(self, stream: PacedStream, slot: Slot) -> None:
        """Take a stream out of its slot."""
        slot.remove(stream)
        self.streams -= 1
        self._disarm_if_idle()

    def add_poll(self, poll: Callable[[], None]) -> Callable[[], None]:
        """Call `poll` once in each ptime; returns a function that ends these calls. `poll` must not raise.

        `poll` is called at a moment at which streams send, if any do, so that it costs no wake-up of its own.
        """
        moment = max(self._wheel, key=lambda each: (-len(each.polls), each.streams))
        moment.polls.append(poll)
        self._polls += 1
        self._arm_alarm()

        def remove() -> None:
            moment.polls.remove(poll)
            self._polls -= 1
            self._disarm_if_idle()

        return remove

    def _disarm_if_idle(self) -> None:
        if not self.streams and not self._polls:
            self._alarm.disarm()

    def close(self) -> None:
        """Release the alarm: the ticker runs no more ticks."""
        self._alarm.close()

    def tick(self) -> None:
        """Run every tick that is due, and set the alarm for the next time at which a frame or a poll is due."""
        elapsed = self._clock() - self._epoch
        now = elapsed // self._step
        wheel = self._wheel
        count = len(wheel)
        first, self._next = self._next, max(self._next, now + 1)
        if not self.streams and not self._polls:
            return  # there is nothing to wake for: the alarm was disarmed when the last stream or poll left
        polls: list[Callable[[], None]] = []
        try:
            for step in range(first, min(now + 1, first + count)):
                moment = wheel[step % count]
                for slot in moment.slots:
                    if slot.streams:
                        self.lateness.add(elapsed - step * self._step)
                        self._run_slot(slot, now - step)
                polls += moment.polls
            for poll in polls:
                poll()
        finally:  # arm the alarm even after an error, or all streams would stop
            self._arm_alarm()

    def run_overdue(self) -> None:
        """Run every tick that is due, if there is one.

        Work of which there may be much in one turn of the event loop, such as the ends of many streams, calls this
        in between, so that it does not make the other streams late.
        """
        if self._clock() - self._epoch >= self._next * self._step:
            self.tick()

    def _run_slot(self, slot: Slot, late: int) -> None:
        """Run the due ticks of a slot, which is `late` steps of the wheel behind its schedule: normally one tick.

        After a stall, the far end's queue may have run empty; the far end plays on when these frames arrive. At
        most `lead` + 1 frames are sent. If the slot's next tick is nearer than its last due one, at most `lead`
        frames, but at least one, are sent: with one more, the far end's queue would become longer than the lead.
        """
        ptime, count = len(self._wheel), len(slot.streams)
        due, most = 1 + late // ptime, slot.lead + (late % ptime < ptime / 2)
        times = min(due, max(1, most))
        writes = self._writes
        if writes is not None:
            writes.hold()
        try:
            for _ in range(times):
                slot.fire()
        finally:
            if writes is not None:
                writes.release()
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
            moment = wheel[step % len(wheel)]
            busy = bool(moment.polls)
            for slot in moment.slots:
                busy = busy or bool(slot.streams)
            if busy:
                self._alarm.arm(self._epoch + step * self._step)
                return


def _stream_count(moment: Moment) -> int:
    """The number of streams that send at a moment of the ptime, in all of the moment's slots."""
    return moment.streams
