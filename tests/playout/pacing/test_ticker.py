"""The wheel of slots: which slot a stream joins, and when the alarm is armed."""

import asyncio
from functools import partial
from itertools import repeat
from typing import Any, cast

import pytest

from mediaserver.playout.pacing.alarm import CallAtAlarm
from mediaserver.playout.pacing.slot import Slot
from mediaserver.playout.pacing.ticker import STREAMS_PER_SLOT, Ticker
from mediaserver.transport.masking import MaskedTransport
from mediaserver.wire import websocket
from tests.playout.pacing.recording import RecordingStream, pass_time, ticker_on
from tests.transport.test_masking import unmask
from tests.virtual import VirtualLoop, in_virtual_time


class CountingAlarm(CallAtAlarm):
    """A real alarm that counts how often it wakes and is armed."""

    armed = 0

    def arm(self, at: int) -> None:
        type(self).armed += 1
        super().arm(at)


def join(ticker: Ticker) -> Slot:
    """The slot of one more stream, which is never looked at."""
    return ticker.join(stream := RecordingStream(cast("VirtualLoop", asyncio.get_running_loop())), stream.messages)


@in_virtual_time
async def test_slots_are_filled_one_by_one(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    streams = [RecordingStream(loop) for _ in range(2 * STREAMS_PER_SLOT + 1)]
    for stream in streams:
        ticker.join(stream, stream.messages)
    await pass_time(loop, 40.5)
    first = [stream.ticks_at[0] for stream in streams]
    assert first == STREAMS_PER_SLOT * [1] + STREAMS_PER_SLOT * [15] + [14]
    assert all(stream.ticks_at[1] - stream.ticks_at[0] == 20 for stream in streams)


@in_virtual_time
async def test_with_all_slots_full_further_streams_spread_evenly_over_the_ptime(loop: VirtualLoop) -> None:
    ticker = Ticker(partial(CallAtAlarm, loop), loop.clock, slots=4)
    for _ in range(4 * STREAMS_PER_SLOT + 7):
        stream = RecordingStream(loop)
        ticker.join(stream, stream.messages)
    await pass_time(loop, 20.5)
    assert ticker.frames == 4 * STREAMS_PER_SLOT + 7
    counts = [len(slot.streams) for slot in {id(slot): slot for slot in (join(ticker) for _ in range(5))}.values()]
    assert sorted(counts) == [STREAMS_PER_SLOT + 3] * 4


@in_virtual_time
async def test_slots_next_to_each_other_fire_each_at_its_own_time(loop: VirtualLoop) -> None:
    ticker = Ticker(partial(CallAtAlarm, loop), loop.clock, slots=2)
    streams = [RecordingStream(loop) for _ in range(STREAMS_PER_SLOT + 1)]
    for stream in streams:
        ticker.join(stream, stream.messages)
    await pass_time(loop, 45)
    assert (streams[0].ticks_at, streams[-1].ticks_at) == ([10, 30], [20, 40])
    assert ticker.lateness.total == 0


@in_virtual_time
async def test_no_stream_waits_long_for_a_slot_that_has_room(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    joined = []
    for at in range(10, 400, 7):
        await pass_time(loop, at)
        stream = RecordingStream(loop)
        ticker.join(stream, stream.messages)
        await pass_time(loop, at + 6.5)
        joined.append(stream)
    await pass_time(loop, 500)
    assert max(stream.ticks_at[0] - at for stream, at in zip(joined, range(10, 400, 7), strict=True)) <= 15
    assert len({stream.ticks_at[-1] for stream in joined}) == 2  # and yet there are few slots


@in_virtual_time
async def test_a_stream_that_leaves_makes_room_for_the_next(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    streams = [RecordingStream(loop) for _ in range(3 * STREAMS_PER_SLOT)]
    slots = [ticker.join(stream, stream.messages) for stream in streams]
    ticker.leave(streams[STREAMS_PER_SLOT], slots[STREAMS_PER_SLOT])
    assert join(ticker) is slots[STREAMS_PER_SLOT]


@in_virtual_time
async def test_a_slot_without_streams_does_not_tick(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    streams = [RecordingStream(loop), RecordingStream(loop)]
    slots = [ticker.join(stream, stream.messages, lead) for lead, stream in enumerate(streams)]
    assert slots[0] is not slots[1]
    ticker.leave(streams[1], slots[1])
    await pass_time(loop, 50)
    assert (slots[0].ticks, slots[1].ticks, sum(ticker.lateness.counts)) == (3, 0, 3)


@in_virtual_time
async def test_the_alarm_is_not_armed_for_a_slot_without_streams(loop: VirtualLoop) -> None:
    ticker = Ticker(partial(CountingAlarm, loop), loop.clock, slots=2)
    streams = [RecordingStream(loop) for _ in range(STREAMS_PER_SLOT + 1)]
    slots = [ticker.join(stream, stream.messages) for stream in streams]
    assert slots[-1] is not slots[0]
    ticker.leave(streams[-1], slots[-1])
    await pass_time(loop, 25)
    armed = CountingAlarm.armed
    await pass_time(loop, 225)
    assert CountingAlarm.armed - armed == 10


@in_virtual_time
async def test_slots_with_few_streams_get_no_more_while_fuller_ones_have_room(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    streams = [RecordingStream(loop) for _ in range(3 * STREAMS_PER_SLOT)]
    slots = [ticker.join(stream, stream.messages) for stream in streams]
    for stream, slot in list(zip(streams, slots, strict=True))[STREAMS_PER_SLOT + 1 : -5]:
        ticker.leave(stream, slot)
    assert len(slots[STREAMS_PER_SLOT].streams) == 1
    assert len(slots[-1].streams) == 5
    assert [join(ticker) for _ in range(STREAMS_PER_SLOT)] == [slots[-1]] * (STREAMS_PER_SLOT - 5) + [
        slots[STREAMS_PER_SLOT]
    ] * 5


@pytest.mark.parametrize(("listen_ms", "first"), [(0, 1), (4, 5), (10, 11)])
@in_virtual_time
async def test_a_stream_that_listens_first_starts_later(listen_ms: int, first: int, loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    stream = RecordingStream(loop)
    ticker.join(stream, stream.messages, listen_ns=listen_ms * 1_000_000)
    await pass_time(loop, 35)
    assert stream.ticks_at == [first, first + 20]


@in_virtual_time
async def test_time_is_counted_from_when_the_ticker_was_made(loop: VirtualLoop) -> None:
    loop.stall(7)
    ticker = ticker_on(loop)
    stream = RecordingStream(loop)
    ticker.join(stream, stream.messages)
    await pass_time(loop, 60)
    assert stream.ticks_at == [8, 28, 48]
    assert ticker.lateness.total == 0


@in_virtual_time
async def test_the_alarm_is_disarmed_when_the_last_stream_has_left(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    streams = [RecordingStream(loop), RecordingStream(loop)]
    slots = [ticker.join(stream, stream.messages) for stream in streams]
    ticker.leave(streams[0], slots[0])
    assert len(loop.waiting) == 1
    ticker.leave(streams[1], slots[1])
    assert loop.waiting == []


@in_virtual_time
async def test_without_streams_there_are_no_ticks(loop: VirtualLoop) -> None:
    CountingAlarm.armed = 0
    ticker = Ticker(partial(CountingAlarm, loop), loop.clock)
    await pass_time(loop, 1000)
    assert CountingAlarm.armed == 0
    stream = RecordingStream(loop)
    slot = ticker.join(stream, stream.messages)
    await pass_time(loop, 1100)
    ticker.leave(stream, slot)
    armed = CountingAlarm.armed
    await pass_time(loop, 5000)
    assert CountingAlarm.armed == armed
    assert armed <= 2 + 5  # one stream costs one wake-up a ptime, not one a slot


@in_virtual_time
async def test_streams_are_checked_every_ten_frames(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    stream = RecordingStream(loop)
    ticker.join(stream, stream.messages)
    await pass_time(loop, 2000)
    assert len(stream.ticks_at) == 100
    assert stream.checks == 10


class Ledger:
    """Notes when writes are held and released, and what streams do in between."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def hold(self) -> None:
        self.notes.append("hold")

    def release(self) -> None:
        self.notes.append("release")


@in_virtual_time
async def test_writes_are_held_until_all_streams_of_a_slot_have_written_and_released_before_they_are_checked(
    loop: VirtualLoop,
) -> None:
    class Noting(RecordingStream):
        def __init__(self, loop: VirtualLoop, name: str) -> None:
            super().__init__(loop)
            self.transport.write = lambda data: ledger.notes.append(name)  # type: ignore[method-assign]

        def check_send_buffer(self) -> None:
            ledger.notes.append("check")

    ledger = Ledger()
    ticker = Ticker(partial(CallAtAlarm, loop), loop.clock, writes=ledger)
    for name in ("a", "b"):
        ticker.join(stream := Noting(loop, name), stream.messages)
    await pass_time(loop, 190)
    tick = ["hold", "a", "b", "release"]
    assert ledger.notes == 9 * tick + [*tick, "check", "check"]


@in_virtual_time
async def test_of_streams_at_one_moment_those_are_masked_that_the_server_has_dialled(loop: VirtualLoop) -> None:
    ticker, message = ticker_on(loop), websocket.binary(bytes(320))
    streams = [RecordingStream(loop) for _ in range(4)]
    sent = [stream.transport for stream in streams]
    for stream in streams:
        stream.messages = repeat(message)
    for stream in streams[1::2]:
        stream.transport = cast("Any", MaskedTransport(cast("asyncio.WriteTransport", stream.transport)))
    slots = [ticker.join(stream, stream.messages) for stream in streams]
    await pass_time(loop, 30)
    assert slots[0] is slots[2]
    assert slots[1] is slots[3]
    assert [transport.times for transport in sent] == [[1, 21]] * 4
    for number, transport in enumerate(sent):
        for each in transport.messages:
            assert (unmask(each) == bytes(320)) if number % 2 else (each == message)


@in_virtual_time
async def test_a_closed_ticker_does_not_tick(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    stream = RecordingStream(loop)
    ticker.join(stream, stream.messages)
    await pass_time(loop, 30)
    ticker.close()
    await pass_time(loop, 1000)
    assert stream.ticks_at == [1, 21]


@in_virtual_time
async def test_a_stream_goes_on_when_another_leaves_its_slot(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    streams = [RecordingStream(loop), RecordingStream(loop)]
    slots = [ticker.join(stream, stream.messages) for stream in streams]
    await pass_time(loop, 30)
    ticker.leave(streams[0], slots[0])
    await pass_time(loop, 70)
    assert [stream.ticks_at for stream in streams] == [[1, 21], [1, 21, 41, 61]]
    assert (ticker.streams, ticker.frames) == (1, 6)


@in_virtual_time
async def test_nothing_drifts(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    stream = RecordingStream(loop)
    ticker.join(stream, stream.messages)
    await pass_time(loop, 600_000)
    assert stream.ticks_at == [1 + 20 * n for n in range(30_000)]


@in_virtual_time
async def test_polls_are_called_once_a_ptime_when_all_due_frames_are_sent(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    stream = RecordingStream(loop)
    ticker.join(stream, stream.messages)
    polled: list[tuple[float, int]] = []
    remove = ticker.add_poll(lambda: polled.append((loop.time(), len(stream.ticks_at))))
    await pass_time(loop, 70)
    assert [sent for _, sent in polled] == [1, 2, 3, 4]
    assert [round(1000 * at) for at, _ in polled] == stream.ticks_at
    remove()
    await pass_time(loop, 200)
    assert len(polled) == 4


@in_virtual_time
async def test_polls_go_on_without_streams_and_the_alarm_is_disarmed_after_the_last(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    polled: list[float] = []
    removals = [ticker.add_poll(lambda: polled.append(loop.time())) for _ in range(3)]
    await pass_time(loop, 100.5)
    assert len(polled) == 16  # 1, 2, 20, 21, … 100 ms; the first is called twice at 1 ms, where the alarm begins
    for remove in removals:
        assert len(loop.waiting) == 1
        remove()
    assert loop.waiting == []


@in_virtual_time
async def test_a_poll_may_remove_itself(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    polled: list[float] = []

    def poll() -> None:
        polled.append(loop.time())
        remove()

    remove = ticker.add_poll(poll)
    await pass_time(loop, 100)
    assert len(polled) == 1
    assert loop.waiting == []
