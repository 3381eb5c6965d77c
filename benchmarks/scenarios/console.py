"""Somebody looks at the page Live of the console while calls play."""

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from benchmarks.listeners.measure import Plan
from benchmarks.listeners.process import listening
from benchmarks.listeners.report import Report
from benchmarks.machine import LOAD_CORE, cpu_seconds
from benchmarks.servers import MediaServer, playing_server

from .outcome import Outcome, troubles

_MANY, _FEWER = 2000, 1000  # streams
_WINDOW = 5.0  # seconds, in which the server looks at each of the many streams once for the page
_PAIRS = 7  # windows without the page and with it, in turns, in one run with many streams
_ROUNDS = 3  # runs without the page and with it, in turns, with fewer streams
_TURN = 1.0  # seconds by which a pair of windows may last longer, since the page is opened and closed
_SHARE, _LATER = 0.02, 0.2  # of a core with many streams; ms with fewer


class Viewer:
    """A process that shows the page while it is told to."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Show the page within a `with` block. SystemExit where the process has failed."""
        self._tell("look", "watching")
        yield
        self._tell("rest", "resting")

    def _tell(self, order: str, answer: str) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None  # noqa: S101, PT018 - pipes
        print(order, file=self._process.stdin, flush=True)
        if self._process.stdout.readline() != f"{answer}\n":
            raise SystemExit(f"the viewer has failed: it was told to {order}")


def console(folder: Path) -> Outcome:
    """What the page costs with many streams, and by how much it makes those later that are half as many.

    Windows or runs with the page and without take turns. The medians of the pairs' differences are compared, and
    told with the least and the greatest difference, as the machine may have other work.
    """
    with playing_server(folder) as server, _viewer(server) as viewer:
        many, report = _costs(server, viewer)
        fewer = [(_run(server), _run(server, viewer)) for _ in range(_ROUNDS)]
    shares = [seen - alone for alone, seen in many]
    later = [seen.lateness_p99 - alone.lateness_p99 for alone, seen in fewer]
    faults = troubles(report, *(run for pair in fewer for run in pair))
    p99 = [median(run.lateness_p99 for run in runs) for runs in zip(*fewer, strict=True)]
    found = (
        f"{median(shares):.2%} of a core ({min(shares):.2%} to {max(shares):.2%}); p99 {p99[0]:.2f} without it,"
        f" {p99[1]:.2f} with it, {median(later):+.2f} ms ({min(later):+.2f} to {max(later):+.2f})"
    )
    held_to = f"under {_SHARE:.0%} of a core; p99 at most +{_LATER:g} ms"
    cores = " and ".join(f"{median(runs):.1%}" for runs in zip(*many, strict=True))
    note = f"console, the server of {_MANY} streams, without it and with it: {cores} of a core"
    holds = median(shares) < _SHARE and median(later) <= _LATER and not faults
    what = f"a console shows {_MANY} streams; it shows {_FEWER}"
    return Outcome(what, found, held_to, holds, (note, *faults))


def _costs(server: MediaServer, viewer: Viewer) -> tuple[list[tuple[float, float]], Report]:
    """Shares of a core that the server uses in windows without the page and with it; the report of the streams."""
    plan = Plan(streams=_MANY, seconds=_PAIRS * (2 * _WINDOW + _TURN), warm_up=2.0, rate=500.0)
    with listening(server.port, "/minute", server.pid, plan) as run:
        run.wait_until_measuring()
        pairs = []
        for _ in range(_PAIRS):
            alone = _share(server)
            with viewer.watching():
                seen = _share(server)
            if run.process.poll() is not None:  # the streams ended within the pair, so that it tells nothing
                break
            pairs.append((alone, seen))
        if not pairs:
            raise SystemExit("the streams ended in the first pair of windows: the machine has too much other work")
        return pairs, run.report()


def _share(server: MediaServer) -> float:
    """The share of a core that the server uses in a window that begins now."""
    cpu, began = cpu_seconds(server.pid), time.monotonic()
    time.sleep(_WINDOW)
    return (cpu_seconds(server.pid) - cpu) / (time.monotonic() - began)


def _run(server: MediaServer, viewer: Viewer | None = None) -> Report:
    """One run with fewer streams. A viewer opens the page when the measurement begins, and shows it to the end."""
    plan = Plan(streams=_FEWER, seconds=5.0, warm_up=1.5, rate=500.0)
    with listening(server.port, "/minute", server.pid, plan) as run:
        run.wait_until_measuring()
        with viewer.watching() if viewer is not None else contextlib.nullcontext():
            return run.report()


@contextlib.contextmanager
def _viewer(server: MediaServer) -> Iterator[Viewer]:
    command = [sys.executable, "-m", "benchmarks.scenarios.viewer", str(server.admin)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as viewer:
        try:
            os.sched_setaffinity(viewer.pid, {LOAD_CORE})
            yield Viewer(viewer)
        finally:
            viewer.kill()
