"""Many calls end in one moment while others play."""

from dataclasses import replace
from pathlib import Path

from benchmarks.listeners.measure import Plan
from benchmarks.listeners.process import listen
from benchmarks.listeners.report import Report
from benchmarks.servers import playing_server

from .outcome import EXCUSE_EVERY, Outcome, excused, late, troubles

_HANGUPS = Plan(streams=1500, seconds=4.0, leavers=1000, leavers_after=1.0, excuse_every=EXCUSE_EVERY)
_QUIET = replace(_HANGUPS, leavers=0)
_ROUNDS = 3  # each with new servers
_LATE = 10.0  # ms


def hangups(folder: Path) -> Outcome:
    """Lateness of those who go on, beside runs in which nobody hangs up; the median of all rounds counts.

    It is held to the part of the lateness for which the machine gave the server and its load a core.
    """
    rounds = [(_listen(folder, _QUIET), _listen(folder, _HANGUPS)) for _ in range(_ROUNDS)]
    quiet, fewer = (sorted(runs, key=_p999)[_ROUNDS // 2] for runs in zip(*rounds, strict=True))
    faults = troubles(*(run for pair in rounds for run in pair))
    notes = (
        f"hangups, a quiet run: {late(quiet)}; {excused(quiet)}",
        f"hangups, the listeners' own longest turn: {fewer.own_slowest:.1f} ms",
        *faults,
    )
    holds = _p999(fewer) < _LATE and not faults
    what = f"{_HANGUPS.leavers} of {_HANGUPS.streams} calls hang up in one moment, the others play"
    held_to = f"p99.9 without waits for a core under {_LATE:g} ms"
    return Outcome(what, f"{late(fewer)}; {excused(fewer)}", held_to, holds, notes)


def _p999(report: Report) -> float:
    return report.excused_p999


def _listen(folder: Path, plan: Plan) -> Report:
    with playing_server(folder) as server:
        return listen(server.port, "/minute", server.pid, plan)
