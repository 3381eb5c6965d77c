"""Somebody looks at the page Live of the console while calls play."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.listeners.measure import Plan
from benchmarks.listeners.process import listening
from benchmarks.listeners.report import Report
from benchmarks.machine import LOAD_CORE
from benchmarks.servers import MediaServer, playing_server

from .outcome import Outcome, troubles
from .viewer import DESCRIBED

_LOOKS = 2  # of the page at all streams in one run
_MANY, _FEWER = (
    Plan(streams=count, seconds=_LOOKS * count / DESCRIBED, warm_up=4.0, rate=500.0) for count in (2000, 1000)
)
_ROUNDS = 3
_SHARE, _LATER = 0.02, 0.2  # of a core with many streams; ms with fewer


def console(folder: Path) -> Outcome:
    """What the page costs with many streams, and by how much it makes those later that are half as many.

    Runs with the page and without take turns, and medians are compared, as the machine may have other work.
    """
    with playing_server(folder) as server:
        many, fewer = _rounds(server, _MANY), _rounds(server, _FEWER)
    share = _difference([(run.server_core, seen.server_core) for run, seen in many])
    later = _difference([(run.lateness_p99, seen.lateness_p99) for run, seen in fewer])
    p99 = [median(report.lateness_p99 for report in reports) for reports in zip(*fewer, strict=True)]
    faults = troubles(*(report for pair in many + fewer for report in pair))
    found = f"{share:.2%} of a core; p99 {p99[0]:.2f} without it, {p99[1]:.2f} with it, {later:+.2f} ms"
    held_to = f"under {_SHARE:.0%} of a core; p99 at most +{_LATER:g} ms"
    what = f"a console shows {_MANY.streams} streams; it shows {_FEWER.streams}"
    cores = " and ".join(f"{median(run.server_core for run in runs):.1%}" for runs in zip(*many, strict=True))
    note = f"console, the server of {_MANY.streams} streams, without it and with it: {cores} of a core"
    return Outcome(what, found, held_to, share < _SHARE and later <= _LATER and not faults, (note, *faults))


def _difference(pairs: list[tuple[float, float]]) -> float:
    """The median of what the second of each pair is more."""
    return median(second - first for first, second in pairs)


def _rounds(server: MediaServer, plan: Plan) -> list[tuple[Report, Report]]:
    """Runs without the page and with it, in turns."""
    return [(_run(server, plan), _run(server, plan, watched=True)) for _ in range(_ROUNDS)]


def _run(server: MediaServer, plan: Plan, *, watched: bool = False) -> Report:
    """One run. The page is shown from the warm-up on."""
    with (
        listening(server.port, "/minute", server.pid, plan) as run,
        _watching(server, plan.streams) if watched else contextlib.nullcontext(),
    ):
        run.wait_until_measuring()
        return run.report()


@contextlib.contextmanager
def _watching(server: MediaServer, streams: int) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.scenarios.viewer", str(server.admin), str(streams)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as viewer:
        try:
            os.sched_setaffinity(viewer.pid, {LOAD_CORE})
            assert viewer.stdout is not None  # noqa: S101 - it is a pipe
            if viewer.stdout.readline() != "watching\n":
                raise SystemExit("the viewer never saw the streams")
            yield
        finally:
            viewer.kill()
