"""The server is held up while callers talk, and something listens to all of them."""

import os
import signal
import time
from pathlib import Path

from benchmarks.listeners.measure import Plan
from benchmarks.listeners.process import listening
from benchmarks.listeners.speech import PCM
from benchmarks.servers import playing_server

from .detectors import SETTINGS
from .outcome import Outcome, late

_TALKING = Plan(streams=200, seconds=10.0, says=PCM)
_HELD = 0.5  # seconds for which the server is stopped, and so finds 25 frames of each stream afterwards
_LEAST = 0.9  # of the frames that are due in the window, of which the hold-up itself costs a twentieth


def hold_up(folder: Path) -> Outcome:
    """The share of the frames that are sent: a server that never catches up sends far fewer."""
    with (
        playing_server(folder, SETTINGS) as server,
        listening(server.port, "/analyse", server.pid, _TALKING) as run,
    ):
        run.wait_until_measuring()
        os.kill(server.pid, signal.SIGSTOP)
        time.sleep(_HELD)
        os.kill(server.pid, signal.SIGCONT)
        report = run.report()
    what = f"stopped for {_HELD:g} s while {_TALKING.streams} callers are analysed"
    found = f"{report.share:.1%} of the frames of {_TALKING.seconds:g} s, {report.server_core:.0%} of a core"
    notes = (f"hold-up: {late(report)}", *((report.trouble,) if report.closed or report.bad else ()))
    holds = report.share >= _LEAST and not report.closed and not report.bad
    return Outcome(what, found, f"at least {_LEAST:.0%}", holds, notes)
