"""What wakes the ticker, on the real clock."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from mediaserver.playout.pacing.alarm import Alarm, CallAtAlarm, TimerFdAlarm, system_alarm
from tests.timing import UNIT, eventually
from tests.virtual import VirtualLoop, in_virtual_time

SECOND = 1_000_000_000
AHEAD = 20_000_000  # ns

KINDS = [
    CallAtAlarm,
    system_alarm,
    pytest.param(TimerFdAlarm, marks=pytest.mark.skipif(sys.platform != "linux", reason="timerfd is Linux's")),
]


class Bedside:
    """An alarm that is disarmed whenever it wakes, and when it woke."""

    def __init__(self, kind: Callable[[asyncio.AbstractEventLoop, Callable[[], None]], Alarm]) -> None:
        self.woken: list[int] = []
        self.alarm = kind(asyncio.get_running_loop(), self._wake)

    def _wake(self) -> None:
        self.woken.append(time.monotonic_ns())
        self.alarm.disarm()


@pytest.fixture(params=KINDS)
async def bedside(request: pytest.FixtureRequest) -> AsyncIterator[Bedside]:
    beside = Bedside(request.param)
    yield beside
    beside.alarm.close()


async def test_an_alarm_wakes_once_and_not_before_its_time(bedside: Bedside) -> None:
    at = time.monotonic_ns() + AHEAD
    bedside.alarm.arm(at)
    await eventually(lambda: bedside.woken)
    assert bedside.woken[0] >= at
    await asyncio.sleep(0.02 * UNIT)
    assert len(bedside.woken) == 1


@pytest.mark.parametrize("at", [0, SECOND, 1])
async def test_a_time_in_the_past_wakes_at_once_and_once(bedside: Bedside, at: int) -> None:
    bedside.alarm.arm(at)
    await eventually(lambda: bedside.woken)
    await asyncio.sleep(0.02 * UNIT)
    assert len(bedside.woken) == 1


async def test_another_time_replaces_the_one_before(bedside: Bedside) -> None:
    now = time.monotonic_ns()
    bedside.alarm.arm(now + AHEAD)
    bedside.alarm.arm(now + 3 * AHEAD)
    await eventually(lambda: bedside.woken)
    assert bedside.woken[0] >= now + 3 * AHEAD
    bedside.alarm.arm(now + 1000 * SECOND)
    bedside.alarm.arm(now + 4 * AHEAD)
    await eventually(lambda: len(bedside.woken) == 2)
    assert bedside.woken[1] >= now + 4 * AHEAD


async def test_times_beyond_a_second_are_whole_seconds_and_a_rest(bedside: Bedside) -> None:
    at = time.monotonic_ns() // SECOND * SECOND + SECOND  # the next whole one
    bedside.alarm.arm(at)
    await eventually(lambda: bedside.woken)
    assert bedside.woken[0] >= at


@pytest.mark.parametrize(("ahead", "woken"), [(-5, 1), (0, 1), (0.5, 1), (1, 1), (5, 5), (20, 20)])
@in_virtual_time
async def test_a_timer_of_the_loop_is_never_set_for_less_than_a_millisecond(
    ahead: float, woken: float, loop: VirtualLoop
) -> None:
    await asyncio.sleep(1)
    times: list[int] = []
    alarm = CallAtAlarm(loop, lambda: times.append(loop.now_ns - SECOND))
    alarm.arm(SECOND + round(ahead * 1_000_000))
    await asyncio.sleep(1)
    assert times == [pytest.approx(woken * 1_000_000, abs=2)]


@pytest.mark.parametrize("end", ["disarm", "close"])
async def test_an_alarm_that_is_disarmed_or_closed_does_not_wake(end: str) -> None:
    for kind in (CallAtAlarm, system_alarm):
        beside = Bedside(kind)
        beside.alarm.arm(time.monotonic_ns() + AHEAD)
        getattr(beside.alarm, end)()
        await asyncio.sleep(3 * AHEAD / SECOND)
        assert beside.woken == []
        if end != "close":
            beside.alarm.close()


@pytest.mark.skipif(sys.platform != "linux", reason="timerfd is Linux's")
async def test_a_timerfd_is_closed_and_not_inherited() -> None:
    before = timers()
    beside = Bedside(system_alarm)
    (own,) = timers() - before
    assert not os.get_inheritable(own)
    assert not os.get_blocking(own)
    beside.alarm.close()
    assert timers() == before
    assert not asyncio.get_running_loop().remove_reader(own)  # or who gets its number next would be taken for it


def timers() -> set[int]:
    """The descriptors of this process that are timers."""
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):  # the one that the list is read from
            if "timerfd" in str(entry.readlink()):
                found.add(int(entry.name))
    return found
