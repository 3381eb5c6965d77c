"""Speech is made and recognised while calls play."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.listeners.measure import Plan
from benchmarks.listeners.process import listening
from benchmarks.listeners.report import Report
from benchmarks.machine import LOAD_CORE, SERVER_CORE
from benchmarks.servers import MediaServer, playing_server

from .outcome import Outcome, late, troubles
from .talkers import LISTENERS, TALKERS, TOKEN

_PLAN = Plan(streams=200, seconds=30.0)
_OVER = 2.0  # ms
_DONE = {"made": "mediaserver_sentences_total{made}", "recognised": "mediaserver_recognitions_total{ok}"}
_SETTINGS = f"""
[paths."/say"]
handler = "say"
text = "unsaid"
tokens = ["{TOKEN}"]  # without one, a peer may have few texts spoken
framing = "pcm"
[paths."/recognise"]
handler = "recognise"
framing = "pcm"
"""


def speech(folder: Path) -> Outcome:
    """Lateness of the calls, beside a run in which nobody speaks.

    The server may use both cores, as it would elsewhere, and keeps its engines off the first: there is the load.
    """
    reports, done = [], dict.fromkeys(_DONE, 0.0)
    for busy in (False, True):
        with (
            playing_server(folder, _SETTINGS, (SERVER_CORE, LOAD_CORE)) as server,
            _talking(server) if busy else contextlib.nullcontext(),
        ):
            report, done = _listen(server)
            reports.append(report)
    quiet, spoken = reports
    over = spoken.lateness_p99 - quiet.lateness_p99
    notes = (
        f"speech, a quiet run: {late(quiet)}",
        f"speech, sentences made: {done['made']:.0f}; utterances recognised: {done['recognised']:.0f}",
        *troubles(quiet, spoken),
    )
    what = f"{LISTENERS} callers hear new sentences, {TALKERS} speak, {_PLAN.streams} play"
    holds = over <= _OVER and all(done.values()) and not troubles(quiet, spoken)
    return Outcome(what, f"{late(spoken)}; p99 {over:+.2f}", f"p99 at most +{_OVER:g} ms", holds, notes)


def _listen(server: MediaServer) -> tuple[Report, dict[str, float]]:
    """What those who play heard, and what was made and recognised meanwhile."""
    with listening(server.port, "/minute", server.pid, _PLAN, core=SERVER_CORE) as run:
        run.wait_until_measuring()
        before = server.metrics()
        report = run.report()
    after = server.metrics()
    return report, {what: after[name] - before[name] for what, name in _DONE.items()}


@contextlib.contextmanager
def _talking(server: MediaServer) -> Iterator[None]:
    command = [sys.executable, "-m", "benchmarks.scenarios.talkers", str(server.port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as talkers:
        try:
            os.sched_setaffinity(talkers.pid, {SERVER_CORE})
            assert talkers.stdout is not None  # noqa: S101 - it is a pipe
            if talkers.stdout.readline() != "talking\n":
                raise SystemExit("the talkers never talked")
            yield
        finally:
            talkers.kill()
