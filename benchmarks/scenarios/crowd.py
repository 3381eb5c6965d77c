"""Many calls come at once while others play."""

from dataclasses import replace
from pathlib import Path

from benchmarks.listeners.measure import Plan
from benchmarks.listeners.process import listen
from benchmarks.servers import playing_server

from .outcome import Outcome, late, troubles

_QUIET = Plan(streams=500, seconds=6.0)
_CROWD = replace(_QUIET, newcomers=1000, newcomers_rate=1000.0, newcomers_after=2.0)
_LATE = 20.0  # ms


def crowd(folder: Path) -> Outcome:
    """Lateness of those who play, beside a run in which nobody comes."""
    reports = []
    for plan in (_QUIET, _CROWD):
        with playing_server(folder) as server:
            reports.append(listen(server.port, "/minute", server.pid, plan))
    quiet, crowded = reports
    notes = (
        f"crowd, a quiet run: {late(quiet)}",
        f"crowd, the newcomers' first frame: p99 {crowded.newcomers_first_frame_p99:.1f} ms",
        f"crowd, the listeners' own longest turn: {crowded.own_slowest:.1f} ms",
        *troubles(quiet, crowded),
    )
    holds = crowded.lateness_p999 < _LATE and not troubles(quiet, crowded)
    what = f"{_CROWD.newcomers} calls come in 1 s, {_CROWD.streams} play"
    return Outcome(what, late(crowded), f"p99.9 under {_LATE:g} ms", holds, notes)
