"""Waiting for a slow peer: when its buffer is probed, and when it counts as stalled; in virtual time."""

import asyncio

import pytest

from mediaserver.playout.pacing.slow_peer import SlowPeer
from tests.virtual import FakeTransport, VirtualLoop, in_virtual_time


class Waiting:
    """A slow peer that is waited for, and the milliseconds at which the wait has ended in either way."""

    def __init__(self, loop: VirtualLoop, timeout: float, held: int = 5000) -> None:
        self._loop = loop
        self.transport = FakeTransport(loop)
        self.transport.buffered = held
        self.peer = SlowPeer(timeout)
        self.ends: list[tuple[str, float]] = []

    def wait(self) -> None:
        self.peer.wait_until_drained(self.transport, lambda: self._end("drained"), lambda: self._end("stalled"))

    def _end(self, name: str) -> None:
        self.ends.append((name, self._loop.now_ns / 1_000_000))

    async def until(self, ms: float) -> None:
        await asyncio.sleep(ms / 1000 - self._loop.time())


@in_virtual_time
async def test_a_peer_is_slow_above_twelve_frames(loop: VirtualLoop) -> None:
    peer, transport = SlowPeer(1.0), FakeTransport(loop)
    slow = []
    for transport.buffered in (0, 4096, 4097):
        slow.append(peer.is_slow(transport))
    assert slow == [False, False, True]


@in_virtual_time
async def test_there_is_no_wait_before_it_is_asked_for(loop: VirtualLoop) -> None:
    waiting = Waiting(loop, timeout=1.0)
    assert (waiting.peer.waiting, waiting.peer.stalls) == (False, 0)
    waiting.peer.cancel()
    await waiting.until(1000)
    assert waiting.ends == []
    assert loop.waiting == []


@in_virtual_time
async def test_the_wait_ends_at_the_first_probe_that_finds_the_buffer_empty(loop: VirtualLoop) -> None:
    waiting = Waiting(loop, timeout=1.0)
    waiting.wait()
    await waiting.until(250)
    waiting.transport.buffered = 1  # no longer slow, and not yet all
    await waiting.until(350)
    assert (waiting.peer.waiting, waiting.ends) == (True, [])
    waiting.transport.buffered = 0
    await waiting.until(2000)
    assert (waiting.peer.waiting, waiting.ends) == (False, [("drained", 400)])
    assert waiting.peer.stalls == 1


@in_virtual_time
async def test_the_peer_is_stalled_at_the_first_probe_after_the_timeout(loop: VirtualLoop) -> None:
    loop.stall(7000)
    waiting = Waiting(loop, timeout=0.25)
    waiting.wait()
    await waiting.until(9000)
    assert (waiting.peer.waiting, waiting.ends) == (False, [("stalled", 7300)])


@in_virtual_time
async def test_the_timeout_is_over_exactly_when_it_has_passed(loop: VirtualLoop) -> None:
    waiting = Waiting(loop, timeout=0.125)
    waiting.wait()
    loop.stall(125)
    await waiting.until(2000)
    assert waiting.ends == [("stalled", 125)]


@in_virtual_time
async def test_each_stall_has_the_whole_timeout_and_is_counted(loop: VirtualLoop) -> None:
    waiting = Waiting(loop, timeout=0.25)
    for begin in (0, 1000):
        await waiting.until(begin)
        waiting.transport.buffered = 5000
        waiting.wait()
        await waiting.until(begin + 150)
        waiting.transport.buffered = 0
        await waiting.until(begin + 900)
    assert waiting.ends == [("drained", 200), ("drained", 1200)]
    assert (waiting.peer.stalls, waiting.peer.waited) == (2, pytest.approx(0.4))


@in_virtual_time
async def test_the_time_of_all_waits_is_told_amid_one_too(loop: VirtualLoop) -> None:
    waiting = Waiting(loop, timeout=0.25)
    waiting.wait()
    await waiting.until(150)
    assert waiting.peer.waited == pytest.approx(0.15)
    await waiting.until(500)  # it has stalled, at 300 ms
    waiting.wait()
    await waiting.until(550)
    waiting.peer.cancel()
    waiting.peer.cancel()
    await waiting.until(1000)
    assert waiting.peer.waited == pytest.approx(0.35)


@in_virtual_time
async def test_a_cancelled_wait_probes_no_more(loop: VirtualLoop) -> None:
    waiting = Waiting(loop, timeout=0.25)
    waiting.wait()
    await waiting.until(150)
    waiting.peer.cancel()
    assert (waiting.peer.waiting, loop.waiting) == (False, [])
    await waiting.until(2000)
    assert waiting.ends == []
