"""The pool of media ports: who gets which port, and when a port may be another call's."""

import asyncio

from mediaserver.server.flows.port_pool import PortPool
from tests.virtual import VirtualLoop, in_virtual_time


@in_virtual_time
async def test_the_port_that_was_free_for_longest_is_leased(loop: VirtualLoop) -> None:
    pool = PortPool(range(9100, 9103))
    assert [pool.acquire() for _ in range(4)] == [9100, 9101, 9102, None]
    assert pool.leased == 3
    pool.release(9101, dialled=True)
    pool.release(9100, dialled=True)
    assert [pool.acquire() for _ in range(3)] == [9101, 9100, None]


@in_virtual_time
async def test_a_port_that_may_be_dialled_late_rests(loop: VirtualLoop) -> None:
    pool = PortPool([9100])
    pool.acquire()
    pool.release(9100, dialled=False)
    assert (pool.leased, pool.acquire()) == (0, None)
    await asyncio.sleep(29.9)
    assert pool.acquire() is None
    await asyncio.sleep(0.2)
    assert pool.acquire() == 9100


@in_virtual_time
async def test_a_closed_pool_has_no_timers(loop: VirtualLoop) -> None:
    pool = PortPool([9100])
    pool.acquire()
    pool.release(9100, dialled=False)
    pool.close()
    assert not loop.waiting
