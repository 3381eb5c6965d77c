"""Processes of ours: that they give way, and what becomes of those that do not start."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mediaserver import processes
from mediaserver.errors import EngineError
from mediaserver.processes import Child, Pool
from mediaserver.speech.engines.workshop import Workshop
from tests.timing import UNIT, eventually

# A workshop's child that dies while it is ill, and waits for word before it is ready.
MODULE = """
import pathlib, time
place = pathlib.Path({place!r})
with (place / "starts").open("a") as starts:
    starts.write("x")
if (place / "ill").exists():
    raise SystemExit(1)
while (place / "slow").exists():
    time.sleep(0.005)
from mediaserver.speech.engines import bench
bench.serve(lambda: lambda request: request["text"].encode())
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is there tells the child how it is."""
    (tmp_path / "some_child.py").write_text(MODULE.format(place=str(tmp_path)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return tmp_path


@pytest.fixture
async def workshop(place: Path) -> AsyncIterator[Workshop]:
    made = Workshop("some_child", (), 2, 10 * UNIT)
    yield made
    await made.close()


def starts(place: Path) -> int:
    file = place / "starts"
    return len(file.read_text()) if file.exists() else 0


async def test_what_dies_at_its_start_is_not_started_for_every_caller(
    place: Path, workshop: Workshop, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "ill").touch()
    with capture_logs() as told:
        found = await asyncio.gather(*(workshop.make(text="a") for _ in range(50)), return_exceptions=True)
        assert all(isinstance(each, EngineError) for each in found)
        assert [str(each) for each in found].count("processes die before they are ready: some_child") >= 48
        assert starts(place) in (2, 3)  # two at once: the other one had begun
        (place / "ill").unlink()
        with pytest.raises(EngineError, match="die before"):
            await workshop.make(text="b")
        monkeypatch.setattr(processes, "_PAUSE", 0.0)  # it is over
        assert await workshop.make(text="c") == b"c"
    assert [line["event"] for line in told] == ["processes die before they are ready", "processes start again"]


async def test_who_does_not_wait_for_a_start_leaves_it_to_the_next(place: Path, workshop: Workshop) -> None:
    """Else a process that takes longer to start than callers wait would never be there."""
    (place / "slow").touch()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(workshop.make(text="a"), 0.02)
    await eventually(lambda: starts(place))
    (place / "slow").unlink()
    assert await workshop.make(text="b") == b"b"
    assert starts(place) == 1


async def test_what_hangs_at_its_start_is_killed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "slow").touch()
    monkeypatch.setattr(processes, "_START", 0.0)
    pool = Pool("some_child", lambda: (), 1, idle=60.0)
    with pytest.raises(EOFError):
        async with pool.child():
            pass
    (place / "slow").unlink()
    monkeypatch.setattr(processes, "_START", 60.0)
    async with pool.child() as child:
        assert child.alive
    await pool.rest()


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
