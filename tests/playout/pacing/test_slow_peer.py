"""When a slow peer is looked at, and what is made of it; the loop's clock is virtual."""

import asyncio

from mediaserver.playout.pacing.slow_peer import SlowPeer
from tests.virtual import Line, VirtualLoop, in_virtual_time


class Waiting:
    """A slow peer that is waited for, and the milliseconds at which either end came."""

    def __init__(self, loop: VirtualLoop, timeout: float, held: int = 5000) -> None:
        self._loop = loop
        self.line = Line(loop)
        self.line.held = held
        self.peer = SlowPeer(timeout)
        self.ends: list[tuple[str, float]] = []

    def wait(self) -> None:
        self.peer.wait_for(self.line, lambda: self._end("again"), lambda: self._end("stalled"))

    def _end(self, name: str) -> None:
        self.ends.append((name, self._loop.now_ns / 1_000_000))

    async def until(self, ms: float) -> None:
        await asyncio.sleep(ms / 1000 - self._loop.time())


@in_virtual_time
async def test_a_peer_is_slow_above_twelve_frames(loop: VirtualLoop) -> None:
    peer, line = SlowPeer(1.0), Line(loop)
    slow = []
    for line.held in (0, 4096, 4097):
        slow.append(peer.is_slow(line))
    assert slow == [False, False, True]


@in_virtual_time
async def test_nothing_is_waited_for_before_it_is_asked_for(loop: VirtualLoop) -> None:
    waiting = Waiting(loop, timeout=1.0)
    assert (waiting.peer.waiting, waiting.peer.stalls) == (False, 0)
    waiting.peer.forget()
    await waiting.until(1000)
    assert waiting.ends == []
    assert loop.waiting == []


@in_virtual_time
async def test_it_goes_on_at_the_first_look_at_which_the_peer_has_taken_all(loop: VirtualLoop) -> None:
    waiting = Waiting(loop, timeout=1.0)
    waiting.wait()
    await waiting.until(250)
    waiting.line.held = 1  # no longer slow, and not yet all
    await waiting.until(350)
    assert (waiting.peer.waiting, waiting.ends) == (True, [])
    waiting.line.held = 0
    await waiting.until(2000)
    assert (waiting.peer.waiting, waiting.ends) == (False, [("again", 400)])
    assert waiting.peer.stalls == 1


@in_virtual_time
async def test_it_is_given_up_at_the_first_look_after_its_time(loop: VirtualLoop) -> None:
    loop.stall(7000)
    waiting = Waiting(loop, timeout=0.25)
    waiting.wait()
    await waiting.until(9000)
    assert (waiting.peer.waiting, waiting.ends) == (False, [("stalled", 7300)])


@in_virtual_time
async def test_its_time_is_over_when_it_has_passed_and_not_later(loop: VirtualLoop) -> None:
    waiting = Waiting(loop, timeout=0.125)
    waiting.wait()
    loop.stall(125)
    await waiting.until(2000)
    assert waiting.ends == [("stalled", 125)]


@in_virtual_time
async def test_each_stall_has_the_whole_time_and_is_counted(loop: VirtualLoop) -> None:
    waiting = Waiting(loop, timeout=0.25)
    for begin in (0, 1000):
        await waiting.until(begin)
        waiting.line.held = 5000
        waiting.wait()
        await waiting.until(begin + 150)
        waiting.line.held = 0
        await waiting.until(begin + 900)
    assert waiting.ends == [("again", 200), ("again", 1200)]
    assert waiting.peer.stalls == 2


@in_virtual_time
async def test_what_is_forgotten_is_looked_at_no_more(loop: VirtualLoop) -> None:
    waiting = Waiting(loop, timeout=0.25)
    waiting.wait()
    await waiting.until(150)
    waiting.peer.forget()
    assert (waiting.peer.waiting, loop.waiting) == (False, [])
    await waiting.until(2000)
    assert waiting.ends == []
