"""Many calls end in one moment while others play."""

from dataclasses import replace
from pathlib import Path

from benchmarks.listeners.measure import Plan
from benchmarks.listeners.process import listen
from benchmarks.servers import playing_server

from .outcome import Outcome, late, troubles

_HANGUPS = Plan(streams=1500, seconds=4.0, leavers=1000, leavers_after=1.0)
_QUIET = replace(_HANGUPS, leavers=0)
_LATE = 10.0  # ms


def hangups(folder: Path) -> Outcome:
    """Lateness of those who go on, beside a run in which nobody hangs up."""
    reports = []
    for plan in (_QUIET, _HANGUPS):
        with playing_server(folder) as server:
            reports.append(listen(server.port, "/minute", server.pid, plan))
    quiet, fewer = reports
    notes = (
        f"hangups, a quiet run: {late(quiet)}",
        f"hangups, the listeners' own longest turn: {fewer.own_slowest:.1f} ms",
        *troubles(quiet, fewer),
    )
    holds = fewer.lateness_p999 < _LATE and not troubles(quiet, fewer)
    what = f"{_HANGUPS.leavers} of {_HANGUPS.streams} calls hang up in one moment, the others play"
    return Outcome(what, late(fewer), f"p99.9 under {_LATE:g} ms", holds, notes)
