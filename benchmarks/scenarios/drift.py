"""Calls that last: does their clock run as it should?"""

from pathlib import Path

from benchmarks.listeners.measure import Plan
from benchmarks.listeners.process import listen
from benchmarks.servers import playing_server

from .outcome import Outcome, late, troubles

_STREAMS = 100
_DRIFT = 20.0  # ppm


def drift(folder: Path, minutes: float) -> Outcome:
    """The worst stream's, over so many minutes."""
    plan = Plan(streams=_STREAMS, seconds=60 * minutes)
    with playing_server(folder) as server:
        report = listen(server.port, "/minute", server.pid, plan)
    found = f"{report.drift_ppm:.3f} ppm; {late(report)}"
    holds = report.drift_ppm < _DRIFT and not troubles(report)
    what = f"{_STREAMS} streams for {minutes:g} minutes"
    return Outcome(what, found, f"drift under {_DRIFT:g} ppm", holds, troubles(report))
