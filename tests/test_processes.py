"""Child processes give way to the server, from their first import on."""

import os

import pytest

from mediaserver.processes import Child

DECODER = "mediaserver.playout.decoder", "a recipe"


@pytest.mark.parametrize("aside", [False, True])
async def test_a_child_is_nice_and_perhaps_keeps_off_the_first_core(aside: bool) -> None:
    child = Child(*DECODER, aside=aside)
    ours, theirs = os.sched_getaffinity(0), os.sched_getaffinity(child.pid)
    assert os.getpriority(os.PRIO_PROCESS, child.pid) == 10
    assert theirs == ((ours - {min(ours)} or ours) if aside else ours)
    await child.end()


async def test_where_there_is_one_core_nobody_keeps_off_it() -> None:
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(ours)})
    try:
        child = Child(*DECODER, aside=True)
        assert os.sched_getaffinity(child.pid) == {min(ours)}
        await child.end()
    finally:
        os.sched_setaffinity(0, ours)
