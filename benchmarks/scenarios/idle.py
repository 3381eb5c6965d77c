"""No streams: what the server does for nobody."""

import time
from pathlib import Path

from benchmarks.machine import cpu_seconds, wake_ups
from benchmarks.servers import playing_server

from .outcome import Outcome

_SETTLED, _LOOK = 2.0, 20.0  # seconds
_SHARE = 0.002  # of a core


def idle(folder: Path) -> Outcome:
    """CPU time and wake-ups over some seconds."""
    with playing_server(folder) as server:
        time.sleep(_SETTLED)
        cpu, woken = cpu_seconds(server.pid), wake_ups(server.pid)
        time.sleep(_LOOK)
        share = (cpu_seconds(server.pid) - cpu) / _LOOK
        rate = (wake_ups(server.pid) - woken) / _LOOK
    found = f"{share:.3%} of a core, {rate:.1f} wake-ups a second"
    return Outcome(f"no streams for {_LOOK:g} s", found, f"under {_SHARE:.1%}", share < _SHARE)
