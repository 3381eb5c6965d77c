"""The first calls in which something listens for keys and speech begin while others play."""

from dataclasses import replace
from pathlib import Path

from benchmarks.listeners.measure import Plan
from benchmarks.listeners.process import listen
from benchmarks.listeners.report import Report
from benchmarks.listeners.speech import PCM
from benchmarks.servers import playing_server

from .outcome import EXCUSE_EVERY, Outcome, excused, late, troubles

# The window is short, so that the p99 shows a pause of 10 ms: one in a hundred frames is then late.
_QUIET = Plan(streams=500, seconds=1.0, excuse_every=EXCUSE_EVERY)
_FIRST = replace(_QUIET, newcomers=2, newcomers_paths="/analyse,/menu", newcomers_say=PCM, newcomers_after=0.3)
_ROUNDS = 3  # each with new servers, since there is only one first time in a process
_OVER = 1.0  # ms
SETTINGS = """
[defaults]
framing = "pcm"
[paths."/analyse"]
handler = "analyse"
[paths."/menu"]
handler = "menu"
[paths."/menu".menus.main]
timeout = 600.0
keys.1 = { hangup = true }
"""


def detectors(folder: Path) -> Outcome:
    """Lateness of those who play, beside runs in which nobody listens; the median of all rounds counts.

    It is held to the part of the lateness for which the machine gave the server and its load a core.
    """
    rounds = [(_listen(folder, _QUIET), _listen(folder, _FIRST)) for _ in range(_ROUNDS)]
    quiet, first = (sorted(runs, key=_p99)[_ROUNDS // 2] for runs in zip(*rounds, strict=True))
    over = _p99(first) - _p99(quiet)
    faults = troubles(*(run for pair in rounds for run in pair))
    notes = (f"detectors, a quiet run: {late(quiet)}; {excused(quiet)}", *faults)
    what = f"the first analyse and menu begin, {_QUIET.streams} play"
    holds = over <= _OVER and not faults
    held_to = f"p99 without waits for a core at most +{_OVER:g} ms"
    return Outcome(what, f"{late(first)}; {excused(first)}; p99 {over:+.2f}", held_to, holds, notes)


def _p99(report: Report) -> float:
    return report.excused_p99


def _listen(folder: Path, plan: Plan) -> Report:
    with playing_server(folder, SETTINGS) as server:
        return listen(server.port, "/minute", server.pid, plan)
