"""The wheel: where streams sit, and when the alarm is set."""

import asyncio
from functools import partial
from typing import cast

import pytest

from mediaserver.playout.pacing.alarm import CallAtAlarm
from mediaserver.playout.pacing.ticker import BURST, Slot, Ticker
from tests.virtual import VirtualLoop, in_virtual_time


class Bell:
    """A stream that notes the milliseconds of its ticks."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.rung: list[float] = []
        self.sending = map(self.rung.append, iter(lambda: loop.now_ns / 1_000_000, None))
        self.checks = 0

    def advance(self) -> None:
        raise AssertionError("never at its end")

    def fail(self, error: BaseException) -> None:
        raise error

    def check(self) -> None:
        self.checks += 1


class CountingAlarm(CallAtAlarm):
    """A real alarm that counts how often it wakes and is armed."""

    armed = 0

    def arm(self, at: int) -> None:
        type(self).armed += 1
        super().arm(at)


def ticker_on(loop: VirtualLoop) -> Ticker:
    return Ticker(partial(CallAtAlarm, loop), loop.clock)


def join(ticker: Ticker) -> Slot:
    """The slot of one more stream, which is never looked at."""
    return ticker.join(bell := Bell(cast("VirtualLoop", asyncio.get_running_loop())), bell.sending)


async def pass_time(loop: VirtualLoop, until_ms: float) -> None:
    await asyncio.sleep(until_ms / 1000 - loop.time())


@in_virtual_time
async def test_slots_are_filled_one_by_one(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    bells = [Bell(loop) for _ in range(2 * BURST + 1)]
    for bell in bells:
        ticker.join(bell, bell.sending)
    await pass_time(loop, 40.5)
    first = [bell.rung[0] for bell in bells]
    assert first == BURST * [1] + BURST * [15] + [14]
    assert all(bell.rung[1] - bell.rung[0] == 20 for bell in bells)


@in_virtual_time
async def test_what_fills_no_slot_any_more_spreads_evenly_over_the_ptime(loop: VirtualLoop) -> None:
    ticker = Ticker(partial(CallAtAlarm, loop), loop.clock, slots=4)
    for _ in range(4 * BURST + 7):
        bell = Bell(loop)
        ticker.join(bell, bell.sending)
    await pass_time(loop, 20.5)
    assert ticker.frames == 4 * BURST + 7
    counts = [len(slot.streams) for slot in {id(slot): slot for slot in (join(ticker) for _ in range(5))}.values()]
    assert sorted(counts) == [BURST + 3] * 4


@in_virtual_time
async def test_slots_next_to_each_other_fire_each_at_its_own_time(loop: VirtualLoop) -> None:
    ticker = Ticker(partial(CallAtAlarm, loop), loop.clock, slots=2)
    bells = [Bell(loop) for _ in range(BURST + 1)]
    for bell in bells:
        ticker.join(bell, bell.sending)
    await pass_time(loop, 45)
    assert (bells[0].rung, bells[-1].rung) == ([10, 30], [20, 40])
    assert ticker.lateness.total == 0


@in_virtual_time
async def test_nobody_waits_long_for_a_slot_that_has_room(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    waits = []
    for at in range(10, 400, 7):
        await pass_time(loop, at)
        bell = Bell(loop)
        ticker.join(bell, bell.sending)
        await pass_time(loop, at + 6.5)
        waits.append(bell)
    await pass_time(loop, 500)
    assert max(bell.rung[0] - at for bell, at in zip(waits, range(10, 400, 7), strict=True)) <= 15
    assert len({bell.rung[-1] for bell in waits}) == 2  # and yet there are few slots


@in_virtual_time
async def test_a_stream_that_leaves_makes_room_for_the_next(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    bells = [Bell(loop) for _ in range(3 * BURST)]
    slots = [ticker.join(bell, bell.sending) for bell in bells]
    ticker.leave(bells[BURST], slots[BURST])
    assert join(ticker) is slots[BURST]


@in_virtual_time
async def test_a_slot_that_everybody_has_left_is_not_fired(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    bells = [Bell(loop), Bell(loop)]
    slots = [ticker.join(bell, bell.sending, lead) for lead, bell in enumerate(bells)]
    assert slots[0] is not slots[1]
    ticker.leave(bells[1], slots[1])
    await pass_time(loop, 50)
    assert (slots[0].fired, slots[1].fired, sum(ticker.lateness.counts)) == (3, 0, 3)


@in_virtual_time
async def test_nobody_is_woken_for_a_slot_that_everybody_has_left(loop: VirtualLoop) -> None:
    ticker = Ticker(partial(CountingAlarm, loop), loop.clock, slots=2)
    bells = [Bell(loop) for _ in range(BURST + 1)]
    slots = [ticker.join(bell, bell.sending) for bell in bells]
    assert slots[-1] is not slots[0]
    ticker.leave(bells[-1], slots[-1])
    await pass_time(loop, 25)
    armed = CountingAlarm.armed
    await pass_time(loop, 225)
    assert CountingAlarm.armed - armed == 10


@in_virtual_time
async def test_thin_slots_die_out_as_streams_come_and_go(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    bells = [Bell(loop) for _ in range(3 * BURST)]
    slots = [ticker.join(bell, bell.sending) for bell in bells]
    for bell, slot in list(zip(bells, slots, strict=True))[BURST + 1 : -5]:
        ticker.leave(bell, slot)
    assert len(slots[BURST].streams) == 1
    assert len(slots[-1].streams) == 5
    assert [join(ticker) for _ in range(BURST)] == [slots[-1]] * (BURST - 5) + [slots[BURST]] * 5


@pytest.mark.parametrize(("listen_ms", "first"), [(0, 1), (4, 5), (10, 11)])
@in_virtual_time
async def test_a_stream_that_listens_first_is_given_time(listen_ms: int, first: int, loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    bell = Bell(loop)
    ticker.join(bell, bell.sending, listen_ns=listen_ms * 1_000_000)
    await pass_time(loop, 35)
    assert bell.rung == [first, first + 20]


@in_virtual_time
async def test_time_is_counted_from_when_the_ticker_was_made(loop: VirtualLoop) -> None:
    loop.stall(7)
    ticker = ticker_on(loop)
    bell = Bell(loop)
    ticker.join(bell, bell.sending)
    await pass_time(loop, 60)
    assert bell.rung == [8, 28, 48]
    assert ticker.lateness.total == 0


@in_virtual_time
async def test_a_stream_that_runs_ahead_of_nothing_catches_nothing_up(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    bell = Bell(loop)
    ticker.join(bell, bell.sending)
    await pass_time(loop, 21.5)
    loop.stall(44.5)
    await pass_time(loop, 82)
    assert bell.rung == [1, 21, 66, 81]


@in_virtual_time
async def test_nothing_is_left_to_wake_up_for_when_the_last_stream_has_left(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    bells = [Bell(loop), Bell(loop)]
    slots = [ticker.join(bell, bell.sending) for bell in bells]
    ticker.leave(bells[0], slots[0])
    assert len(loop.waiting) == 1
    ticker.leave(bells[1], slots[1])
    assert loop.waiting == []


@in_virtual_time
async def test_a_stream_is_not_charged_for_time_lost_before_it_came(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    early, late = Bell(loop), Bell(loop)
    ticker.join(early, early.sending)
    await pass_time(loop, 25)
    loop.stall(190)
    slot = ticker.join(late, late.sending)
    assert slot.streams == [early, late]
    before = (slot.late, slot.skipped)
    await pass_time(loop, 250)
    assert [at - 215 for at in late.rung] == [6, 26]  # when its slot is due, and nothing in bulk
    assert (slot.late, slot.skipped) == before


@in_virtual_time
async def test_without_streams_there_are_no_ticks(loop: VirtualLoop) -> None:
    CountingAlarm.armed = 0
    ticker = Ticker(partial(CountingAlarm, loop), loop.clock)
    await pass_time(loop, 1000)
    assert CountingAlarm.armed == 0
    bell = Bell(loop)
    slot = ticker.join(bell, bell.sending)
    await pass_time(loop, 1100)
    ticker.leave(bell, slot)
    armed = CountingAlarm.armed
    await pass_time(loop, 5000)
    assert CountingAlarm.armed == armed
    assert armed <= 2 + 5  # one stream costs one wake-up a ptime, not one a slot


@in_virtual_time
async def test_idle_time_is_not_lost_time(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    bell = Bell(loop)
    slot = ticker.join(bell, bell.sending)
    await pass_time(loop, 30)
    ticker.leave(bell, slot)
    await pass_time(loop, 60_000)
    ticker.join(bell, bell.sending)
    await pass_time(loop, 60_045)
    assert bell.rung == [1, 21, 60_001, 60_021, 60_041]
    assert (ticker.late_frames, ticker.skipped_frames) == (0, 0)


@in_virtual_time
async def test_streams_are_checked_every_ten_frames(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    bell = Bell(loop)
    ticker.join(bell, bell.sending)
    await pass_time(loop, 2000)
    assert len(bell.rung) == 100
    assert bell.checks == 10


@pytest.mark.parametrize(
    ("lead", "late", "sent"),
    [(0, 9, 1), (0, 25, 1), (1, 9, 1), (1, 29, 2), (1, 30, 1), (2, 30, 2), (2, 49, 3), (2, 50, 2), (3, 500, 4)],
)
@in_virtual_time
async def test_where_the_next_frame_is_nearer_than_the_one_due_that_one_is_left_out(
    lead: int, late: int, sent: int, loop: VirtualLoop
) -> None:
    ticker = ticker_on(loop)
    bell = Bell(loop)
    slot = ticker.join(bell, bell.sending, lead)
    await pass_time(loop, 21.5)
    before = ticker.lateness.total
    loop.stall(41 + late - 21.5)
    await pass_time(loop, 41 + late + 0.5)
    due = 1 + late // 20
    assert bell.rung == [1, 21] + [41 + late] * sent
    assert (slot.fired, slot.late, slot.skipped) == (2 + sent, sent - 1, due - sent)
    assert (ticker.frames, ticker.late_frames, ticker.skipped_frames) == (2 + sent, sent - 1, due - sent)
    assert (sum(ticker.lateness.counts), ticker.lateness.total - before) == (3, late * 1_000_000)
    await pass_time(loop, 41 + 20 * due + 0.5)
    assert bell.rung[-1] == 41 + 20 * due  # and it goes on in its own place


@in_virtual_time
async def test_what_is_late_and_what_is_left_out_is_counted_over_all_stalls(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    bells = [Bell(loop), Bell(loop)]
    slot = ticker.join(bells[0], bells[0].sending, 1)
    assert ticker.join(bells[1], bells[1].sending, 1) is slot
    for at in (21.5, 141.5):
        await pass_time(loop, at)
        loop.stall(65)  # three frames are due by then: two are sent, one of them late, and one is left out
        await pass_time(loop, at + 70)
    assert (slot.late, slot.skipped) == (2, 2)
    assert (ticker.late_frames, ticker.skipped_frames) == (4, 4)


@in_virtual_time
async def test_a_burst_does_not_jump_over_a_check(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    bell = Bell(loop)
    slot = ticker.join(bell, bell.sending, 3)
    await pass_time(loop, 161.5)
    loop.stall(60)
    await pass_time(loop, 240)
    assert slot.fired == 12
    assert bell.checks == 1


@in_virtual_time
async def test_a_ticker_that_is_closed_wakes_nobody(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    bell = Bell(loop)
    ticker.join(bell, bell.sending)
    await pass_time(loop, 30)
    ticker.close()
    await pass_time(loop, 1000)
    assert bell.rung == [1, 21]


@in_virtual_time
async def test_who_stays_is_still_woken_when_another_leaves(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    bells = [Bell(loop), Bell(loop)]
    slots = [ticker.join(bell, bell.sending) for bell in bells]
    await pass_time(loop, 30)
    ticker.leave(bells[0], slots[0])
    await pass_time(loop, 70)
    assert [bell.rung for bell in bells] == [[1, 21], [1, 21, 41, 61]]
    assert (ticker.streams, ticker.frames) == (1, 6)


@in_virtual_time
async def test_nothing_drifts(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    bell = Bell(loop)
    ticker.join(bell, bell.sending)
    await pass_time(loop, 600_000)
    assert bell.rung == [1 + 20 * n for n in range(30_000)]
