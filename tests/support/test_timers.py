"""Many timers that share one timer of the event loop: they fire in the order of their times, unless cancelled."""

import asyncio
from functools import partial

from mediaserver.support.timers import Timers
from tests.virtual import VirtualLoop, in_virtual_time


@in_virtual_time
async def test_timers_fire_at_their_times_whatever_the_order_in_which_they_are_set(loop: VirtualLoop) -> None:
    timers, fired = Timers(), list[tuple[str, float]]()

    def fire(name: str) -> None:
        fired.append((name, loop.time()))

    for name, seconds in (("c", 3.0), ("a", 1.0), ("d", 3600.0), ("b", 1.5)):
        timers.call_later(seconds, fire, name)
    assert (len(timers), len(loop.waiting)) == (4, 1)
    await asyncio.sleep(2)
    timers.call_later(0.25, fire, "later")
    await asyncio.sleep(4000)
    assert fired == [("a", 1.0), ("b", 1.5), ("later", 2.25), ("c", 3.0), ("d", 3600.0)]
    assert (len(timers), loop.waiting) == (0, [])


@in_virtual_time
async def test_on_a_grid_timers_fire_together_and_none_drifts(loop: VirtualLoop) -> None:
    timers, fired = Timers(grid=0.02), list[tuple[str, int]]()

    def fire(name: str, times: int) -> None:
        fired.append((name, round(loop.time() * 1000)))
        if times:
            timers.call_later(0.5, fire, name, times - 1)

    await asyncio.sleep(0.003)
    for name, seconds in (("a", 0.498), ("b", 0.506), ("c", 0.51), ("now", 0.0)):
        timers.call_later(seconds, fire, name, 2)
    await asyncio.sleep(2)
    assert [(name, ms) for name, ms in fired if name == "now"] == [("now", 20), ("now", 520), ("now", 1020)]
    assert sorted(each for each in fired if each[0] != "now") == [
        *(("a", 500), ("a", 1000), ("a", 1500)),
        *(("b", 500), ("b", 1000), ("b", 1500)),
        *(("c", 520), ("c", 1020), ("c", 1520)),
    ]


@in_virtual_time
async def test_a_timer_that_repeats_keeps_its_phase_through_hold_ups(loop: VirtualLoop) -> None:
    timers, fired = Timers(grid=0.02), dict[str, list[int]](a=[], b=[], c=[])

    def fire(name: str) -> None:
        fired[name].append(round(loop.time() * 1000))

    made = [timers.call_every(0.5, partial(fire, name), first_after=at) for name, at in (("a", 0.02), ("b", 0.24))]
    made.append(timers.call_every(0.5, partial(fire, "c")))
    await asyncio.sleep(0.9)
    loop.stall(200)  # until 1.1: "c" is late by 0.1 s, and "a" by 0.08 s
    await asyncio.sleep(1)
    loop.stall(800)  # from 2.1 to 2.9: "b" is late by 0.66 s, "c" by 0.4, so that each leaves a call out
    await asyncio.sleep(1.2)
    for timer in made:
        timer.cancel()
    assert fired == {
        "a": [20, 520, 1100, 1520, 2020, 2900, 3520, 4020],
        "b": [240, 740, 1240, 1740, 2900, 3240, 3740],
        "c": [500, 1100, 1500, 2000, 2900, 3500, 4000],
    }
    assert (len(timers), loop.waiting) == (0, [])


@in_virtual_time
async def test_a_timer_that_repeats_may_cancel_itself_or_fail(loop: VirtualLoop) -> None:
    timers, fired = Timers(), list[float]()

    def fire() -> None:
        fired.append(loop.time())
        if len(fired) == 3:
            timer.cancel()
        raise ZeroDivisionError

    timer = timers.call_every(1, fire, first_after=0)
    await asyncio.sleep(10)
    assert (fired, timer.over, len(timers), len(loop.faults)) == ([0, 1, 2], True, 0, 3)
    loop.faults.clear()


@in_virtual_time
async def test_a_cancelled_timer_does_not_fire_and_the_last_one_leaves_nothing(loop: VirtualLoop) -> None:
    timers, fired = Timers(), list[int]()
    made = [timers.call_later(n, fired.append, n) for n in range(1, 11)]
    for n in (1, 4, 5):
        made[n - 1].cancel()
        made[n - 1].cancel()  # the second time has no effect
    assert len(timers) == 7
    await asyncio.sleep(6.5)
    assert (fired, len(timers)) == ([2, 3, 6], 4)
    made[1].cancel()  # it has fired
    for timer in made[6:]:
        timer.cancel()
    assert (len(timers), loop.waiting) == (0, [])
    await asyncio.sleep(100)
    assert fired == [2, 3, 6]


@in_virtual_time
async def test_a_timer_may_be_cancelled_in_the_moment_in_which_it_fires(loop: VirtualLoop) -> None:
    """One that sets itself anew would else go on for ever, and keep what it belongs to in memory."""
    timers, fired = Timers(grid=0.02), list[str]()

    def first() -> None:
        fired.append("first")
        second.cancel()
        second.cancel()

    timers.call_later(0.5, first)
    second = timers.call_later(0.5, fired.append, "second")
    timers.call_later(0.5, fired.append, "third")
    kept = [timers.call_later(5, fired.append, "later") for _ in range(2)]
    await asyncio.sleep(1)
    assert (fired, len(timers)) == (["first", "third"], 2)
    for timer in kept:
        timer.cancel()
    assert (len(timers), loop.waiting) == (0, [])


@in_virtual_time
async def test_cancelled_timers_do_not_pile_up(loop: VirtualLoop) -> None:
    timers = Timers()
    kept = timers.call_later(3600, print)
    for _ in range(1000):
        timers.call_later(3600, print).cancel()
    held = vars(timers)["_heap"]
    assert (len(timers), len(held) <= 3) == (1, True)
    kept.cancel()


@in_virtual_time
async def test_a_function_that_fails_or_sets_and_cancels_timers_keeps_no_other_from_its_time(
    loop: VirtualLoop,
) -> None:
    timers, fired = Timers(), list[float]()

    def fail() -> None:
        raise ZeroDivisionError

    def again() -> None:
        fired.append(loop.time())
        if len(fired) < 3:
            timers.call_later(1, again)
            doomed.cancel()

    timers.call_later(1, fail)
    timers.call_later(1, again)
    doomed = timers.call_later(1.5, fail)
    await asyncio.sleep(10)
    assert fired == [1, 2, 3]
    assert len(loop.faults) == 1
    loop.faults.clear()


async def test_a_timer_is_on_time_by_a_real_clock() -> None:
    timers, loop = Timers(), asyncio.get_running_loop()
    fired: asyncio.Future[float] = loop.create_future()
    began = loop.time()
    timers.call_later(0.05, lambda: fired.set_result(loop.time()))
    assert await fired - began >= 0.048
