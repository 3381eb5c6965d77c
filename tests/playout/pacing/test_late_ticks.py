"""Time that the process has lost: which ticks are caught up late, which are skipped, and how both are counted."""

import pytest

from tests.playout.pacing.recording import RecordingStream, pass_time, ticker_on
from tests.virtual import VirtualLoop, in_virtual_time


@in_virtual_time
async def test_a_stream_without_a_lead_catches_no_tick_up(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    stream = RecordingStream(loop)
    ticker.join(stream, stream.messages)
    await pass_time(loop, 21.5)
    loop.stall(44.5)
    await pass_time(loop, 82)
    assert stream.ticks_at == [1, 21, 66, 81]


@in_virtual_time
async def test_time_lost_before_a_stream_joined_does_not_count_for_it(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    early, late = RecordingStream(loop), RecordingStream(loop)
    ticker.join(early, early.messages)
    await pass_time(loop, 25)
    loop.stall(190)
    slot = ticker.join(late, late.messages)
    assert slot.streams == [early, late]
    before = (slot.late_ticks, slot.skipped_ticks)
    await pass_time(loop, 250)
    assert [at - 215 for at in late.ticks_at] == [6, 26]  # when its slot is due, and nothing in bulk
    assert (slot.late_ticks, slot.skipped_ticks) == before


@in_virtual_time
async def test_idle_time_is_not_lost_time(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    stream = RecordingStream(loop)
    slot = ticker.join(stream, stream.messages)
    await pass_time(loop, 30)
    ticker.leave(stream, slot)
    await pass_time(loop, 60_000)
    ticker.join(stream, stream.messages)
    await pass_time(loop, 60_045)
    assert stream.ticks_at == [1, 21, 60_001, 60_021, 60_041]
    assert (ticker.late_ticks, ticker.skipped_ticks) == (0, 0)


@pytest.mark.parametrize(
    ("lead", "late", "sent"),
    [(0, 9, 1), (0, 25, 1), (1, 9, 1), (1, 29, 2), (1, 30, 1), (2, 30, 2), (2, 49, 3), (2, 50, 2), (3, 500, 4)],
)
@in_virtual_time
async def test_a_late_tick_is_skipped_where_the_next_one_is_nearer(
    lead: int, late: int, sent: int, loop: VirtualLoop
) -> None:
    ticker = ticker_on(loop)
    stream = RecordingStream(loop)
    slot = ticker.join(stream, stream.messages, lead)
    await pass_time(loop, 21.5)
    before = ticker.lateness.total
    loop.stall(41 + late - 21.5)
    await pass_time(loop, 41 + late + 0.5)
    due = 1 + late // 20
    assert stream.ticks_at == [1, 21] + [41 + late] * sent
    assert (slot.ticks, slot.late_ticks, slot.skipped_ticks) == (2 + sent, sent - 1, due - sent)
    assert (ticker.frames, ticker.late_ticks, ticker.skipped_ticks) == (2 + sent, sent - 1, due - sent)
    assert (sum(ticker.lateness.counts), ticker.lateness.total - before) == (3, late * 1_000_000)
    await pass_time(loop, 41 + 20 * due + 0.5)
    assert stream.ticks_at[-1] == 41 + 20 * due  # and it goes on in its own place


@in_virtual_time
async def test_late_and_skipped_ticks_are_counted_over_all_stalls(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    streams = [RecordingStream(loop), RecordingStream(loop)]
    slot = ticker.join(streams[0], streams[0].messages, 1)
    assert ticker.join(streams[1], streams[1].messages, 1) is slot
    for at in (21.5, 141.5):
        await pass_time(loop, at)
        loop.stall(65)  # three frames are due by then: two are sent, one of them late, and one is left out
        await pass_time(loop, at + 70)
    assert (slot.late_ticks, slot.skipped_ticks) == (2, 2)
    assert (ticker.late_ticks, ticker.skipped_ticks) == (4, 4)


@in_virtual_time
async def test_caught_up_ticks_do_not_jump_over_a_check(loop: VirtualLoop) -> None:
    ticker = ticker_on(loop)
    stream = RecordingStream(loop)
    slot = ticker.join(stream, stream.messages, 3)
    await pass_time(loop, 161.5)
    loop.stall(60)
    await pass_time(loop, 240)
    assert slot.ticks == 12
    assert stream.checks == 1
