"""Processes of ours: that they give way, and what becomes of those that do not start."""

import asyncio
import contextlib
import os
import posix
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from mediaserver.errors import EngineError
from mediaserver.speech.engines.worker_pool import WorkerPool
from mediaserver.support.processes import child, child_stderr, pool
from mediaserver.support.processes.child import ChildProcess
from mediaserver.support.processes.pool import ProcessPool
from tests.timing import PATIENCE, eventually

# A workshop's child that dies while it is ill, and waits for word before it is ready.
MODULE = """
import pathlib, sys, time
place = pathlib.Path({place!r})
with (place / "starts").open("a") as starts:
    starts.write("x")
if (place / "ill").exists():
    raise SystemExit(1)
while (place / "slow").exists():
    time.sleep(0.005)
if (place / "prints").exists():
    print((place / "prints").read_text(), file=sys.stderr, flush=True)
from mediaserver.speech.engines import worker_process
worker_process.serve_jobs(lambda: lambda request: request["text"].encode())
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What is there tells the child how it is."""
    (tmp_path / "some_child.py").write_text(MODULE.format(place=str(tmp_path)))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    return tmp_path


@pytest.fixture
async def workshop(place: Path) -> AsyncIterator[WorkerPool]:
    made = WorkerPool("some_child", (), 2, PATIENCE)
    yield made
    await made.close()


def starts(place: Path) -> int:
    file = place / "starts"
    return len(file.read_text()) if file.exists() else 0


async def test_a_process_that_dies_at_its_start_is_not_started_for_every_caller(
    place: Path, workshop: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "ill").touch()
    with capture_logs() as told:
        found = await asyncio.gather(*(workshop.run_job(text="a") for _ in range(50)), return_exceptions=True)
        assert all(isinstance(each, EngineError) for each in found)
        assert [str(each) for each in found].count("worker processes fail to start: some_child") >= 48
        assert starts(place) in (2, 3)  # two at once: the other one had begun
        (place / "ill").unlink()
        with pytest.raises(EngineError, match="fail to start"):
            await workshop.run_job(text="b")
        monkeypatch.setattr(pool, "_PAUSE", 0.0)  # it is over
        assert await workshop.run_job(text="c") == b"c"
    assert [line["event"] for line in told] == [
        "worker processes fail to start",
        "worker processes recovered",
        "worker processes ready",
    ]


async def test_that_a_process_is_ready_and_that_it_dies_is_logged(place: Path, workshop: WorkerPool) -> None:
    with capture_logs() as told:
        assert await workshop.run_job(text="a") == b"a"
        assert [(line["event"], line["module"]) for line in told] == [("worker processes ready", "some_child")]
        (idle,) = workshop._pool._idle
        os.kill(idle.pid, signal.SIGKILL)
        await eventually(lambda: len(told) > 1)  # at once, and not when it is needed next
        assert [(line["event"], line["pid"]) for line in told[1:]] == [("idle worker process died", idle.pid)]
        assert await workshop.run_job(text="b") == b"b"  # by another
        assert not workshop.not_ready_reason
        with contextlib.suppress(EOFError):
            async with workshop._pool.acquire() as busy:
                os.kill(busy.pid, signal.SIGKILL)
                await busy.receive(1)
        assert [(line["event"], line["pid"]) for line in told[2:]] == [("worker process died", busy.pid)]


async def test_an_idle_process_that_just_died_is_not_used(place: Path, workshop: WorkerPool) -> None:
    await workshop.run_job(text="a")
    (idle,) = workshop._pool._idle
    with capture_logs() as told:
        os.kill(idle.pid, signal.SIGKILL)
        os.waitid(os.P_PID, idle.pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222 - the loop is not to turn
        assert await workshop.run_job(text="b") == b"b"
    assert [(line["event"], line["pid"]) for line in told] == [("idle worker process died", idle.pid)]


async def test_a_death_before_ready_counts_as_a_failed_start_without_a_caller(
    place: Path, workshop: WorkerPool
) -> None:
    assert await workshop.run_job(text="a") == b"a"
    await workshop._pool.stop_idle()
    (place / "ill").touch()
    with capture_logs() as told:
        for _ in range(2):
            workshop.preload()  # as a reload does
            await eventually(lambda: not workshop._pool._idle)
        await eventually(lambda: told)
        workshop.preload()
    assert [line["event"] for line in told] == ["worker processes fail to start"]
    assert starts(place) == 3


async def test_a_process_that_becomes_ready_while_idle_is_still_watched(place: Path, workshop: WorkerPool) -> None:
    assert await workshop.run_job(text="a") == b"a"
    await workshop._pool.stop_idle()
    workshop.preload()
    (idle,) = workshop._pool._idle
    await eventually(lambda: idle.ready)
    with capture_logs() as told:
        os.kill(idle.pid, signal.SIGKILL)
        await eventually(lambda: told)
    assert [(line["event"], line["pid"]) for line in told] == [("idle worker process died", idle.pid)]


async def test_a_start_that_a_caller_gave_up_serves_the_next_caller(place: Path, workshop: WorkerPool) -> None:
    """Else a process that takes longer to start than callers wait would never be there."""
    (place / "slow").touch()
    for _ in range(3):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(workshop.run_job(text="a"), 0.02)
    await eventually(lambda: starts(place))
    (place / "slow").unlink()
    assert await workshop.run_job(text="b") == b"b"
    assert starts(place) == 1


async def test_a_process_that_hangs_at_its_start_is_killed(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "slow").touch()
    monkeypatch.setattr(child, "_START", 0.0)
    processes = ProcessPool("some_child", lambda: (), 1, idle=60.0)
    with pytest.raises(EOFError):
        async with processes.acquire():
            pass
    (place / "slow").unlink()
    monkeypatch.setattr(child, "_START", 60.0)
    async with processes.acquire() as process:
        assert process.alive
    await processes.stop_idle()


async def test_a_pool_says_why_it_is_not_ready_until_a_process_was(
    place: Path, workshop: WorkerPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_PAUSE", 0.0)
    monkeypatch.setattr(pool, "_RETRY", 0.01)
    for trouble in ("ill", "slow"):
        (place / trouble).touch()
    with capture_logs():
        workshop.preload()
        assert workshop.not_ready_reason == "is starting"
        await eventually(lambda: workshop.not_ready_reason.startswith("cannot start: "), 60)
        assert workshop.not_ready_reason == "cannot start: its process dies before it is ready"
        (place / "ill").unlink()
        (place / "slow").unlink()
        await eventually(lambda: not workshop.not_ready_reason, 60)
    assert await workshop.run_job(text="a") == b"a"
    (place / "ill").touch()
    workshop.preload()
    assert not workshop.not_ready_reason  # it has been: a server in service is not taken out of it


async def test_close_does_not_wait_for_a_process_that_is_not_ready(place: Path, workshop: WorkerPool) -> None:
    (place / "slow").touch()
    workshop.preload()
    await eventually(lambda: starts(place), 60)
    await workshop.close()  # it would wait for ever


@pytest.fixture
def unheard(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """Nothing was printed before; the counts of lines."""
    monkeypatch.setattr(child_stderr, "_logged", {})
    monkeypatch.setattr(child_stderr, "counts", counts := {"logged": 0, "dropped": 0})
    return counts


async def test_what_a_process_prints_is_a_line_of_the_log(
    place: Path, workshop: WorkerPool, unheard: dict[str, int]
) -> None:
    (place / "prints").write_text("\x1b[0;93mit is\nlate\x1b[m")
    with capture_logs() as told:
        assert await workshop.run_job(text="a") == b"a"
        await eventually(lambda: any(line["event"] == "process wrote to stderr" for line in told))
    (line,) = [line for line in told if line["event"] == "process wrote to stderr"]
    assert line.pop("pid") > 0
    assert line == {
        "event": "process wrote to stderr",
        "log_level": "warning",
        "module": "some_child",
        "text": "it is\nlate",
    }
    assert unheard == {"logged": 2, "dropped": 0}


async def test_the_last_text_that_a_process_prints_is_logged(
    place: Path, workshop: WorkerPool, unheard: dict[str, int]
) -> None:
    (place / "some_child.py").write_text("raise SystemExit('no model here')")
    with capture_logs() as told, pytest.raises(EngineError):
        await workshop.run_job(text="a")
    assert [line["text"] for line in told if line["event"] == "process wrote to stderr"] == ["no model here"] * 2


async def test_text_printed_without_end_is_bounded_and_counted(
    place: Path, unheard: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child_stderr, "_GATHER", 0.001)
    (place / "some_child.py").write_text(
        "import sys\nfor _ in range(200_000): print('many words', file=sys.stderr)"
    )
    with capture_logs() as told:
        process = ChildProcess("some_child")
        with pytest.raises(EOFError):
            await process.wait_ready()
        await process.kill()
    assert len(told) == 10
    assert all(len(line["text"]) <= 4000 for line in told)
    assert unheard["logged"] + unheard["dropped"] >= 200_000
    assert unheard["dropped"] > 100_000


DECODER = "mediaserver.playout.decoding.decoder_process", "a recipe"


@pytest.mark.parametrize("spare_first_core", [False, True])
async def test_a_child_is_nice_and_perhaps_keeps_off_the_first_core(
    spare_first_core: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "setpriority", posix.setpriority)  # which tests are without otherwise
    process = ChildProcess(*DECODER, spare_first_core=spare_first_core)
    ours, theirs = os.sched_getaffinity(0), os.sched_getaffinity(process.pid)
    assert os.getpriority(os.PRIO_PROCESS, process.pid) == 10
    assert theirs == ((ours - {min(ours)} or ours) if spare_first_core else ours)
    await process.end()


async def test_with_one_core_a_child_uses_it() -> None:
    ours = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(ours)})
    try:
        process = ChildProcess(*DECODER, spare_first_core=True)
        assert os.sched_getaffinity(process.pid) == {min(ours)}
        await process.end()
    finally:
        os.sched_setaffinity(0, ours)
