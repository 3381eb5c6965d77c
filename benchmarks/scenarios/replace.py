"""A long sound file takes another's place while calls play."""

import time
from pathlib import Path

from benchmarks.listeners.measure import Plan
from benchmarks.listeners.process import listening
from benchmarks.listeners.report import Report
from benchmarks.servers import MediaServer, playing_server
from benchmarks.sounds import write_tone

from .outcome import Outcome, late, troubles

_PLAN = Plan(streams=500, seconds=20.0)
_MINUTES = 10
_OVER = 2.0  # ms
_LOOK = 1.0  # seconds between two looks at the metrics; in the quiet run as well
_RELOADS = "mediaserver_reloads_total{ok}"


def replace(folder: Path) -> Outcome:
    """Lateness of the calls, beside a run in which nothing is replaced. SystemExit where it is never taken in."""
    long, prompt = folder / "long.wav", folder / "prompts" / "announcement.wav"
    write_tone(long, _MINUTES * 60, rate=44_100, channels=2)
    reports = []
    for new in (None, long):
        write_tone(prompt, 1)
        with playing_server(folder) as server:
            reports.append(_listen(server, prompt, new))
    quiet, replaced = reports
    over = replaced.lateness_p99 - quiet.lateness_p99
    notes = (f"replace, a quiet run: {late(quiet)}", *troubles(quiet, replaced))
    what = f"a prompt becomes one of {_MINUTES} minutes, {_PLAN.streams} play"
    holds = over <= _OVER and not troubles(quiet, replaced)
    return Outcome(what, f"{late(replaced)}; p99 {over:+.2f}", f"p99 at most +{_OVER:g} ms", holds, notes)


def _listen(server: MediaServer, prompt: Path, new: Path | None) -> Report:
    with listening(server.port, "/minute", server.pid, _PLAN) as run:
        run.wait_until_measuring()
        end = time.monotonic() + _PLAN.seconds - _LOOK
        before = server.metrics()[_RELOADS]
        if new is not None:
            new.rename(prompt)
        while time.monotonic() < end:
            time.sleep(_LOOK)
            reloaded = server.metrics()[_RELOADS] > before
        if new is not None and not reloaded:
            raise SystemExit(f"the server did not take in {prompt.name} within {_PLAN.seconds:g} s")
        return run.report()
