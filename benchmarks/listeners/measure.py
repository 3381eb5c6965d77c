"""One run of listeners: dial, warm up, listen for a window of time, and report."""

import gc
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.machine import cpu_seconds, resident_bytes
from mediaserver.audio.pcm import PTIME
from mediaserver.server.http.descriptors import raise_descriptor_limit

from .arrivals import Arrivals
from .dialling import DialError, Target
from .epoll import Listeners
from .report import Report, Usage, summarise

_ANSWERED = 30.0  # seconds after the last dialling within which all listeners must be connected


@dataclass(frozen=True)
class Plan:
    """How many listeners there are, and for how long, in seconds.

    `payload` is the number of bytes in a message, `rate` the number of handshakes per second.
    """

    streams: int = 1000
    seconds: float = 5.0
    warm_up: float = 1.0
    rate: float = 1000.0
    payload: int = 320
    newcomers: int = 0
    newcomers_rate: float = 1000.0
    newcomers_after: float = 0.0

    @property
    def frames(self) -> int:
        """The number of frames for which to reserve room: all that can arrive, and 20 % more."""
        dialling = self.streams / self.rate
        seconds = 1.2 * (dialling + self.warm_up + self.seconds) + 1
        return round((self.streams + self.newcomers) * seconds / PTIME)


def measure(target: Target, pid: int, plan: Plan, begin: Callable[[], None] = lambda: None) -> Report:
    """Listen to the server of process `pid`. `begin` is called when the window begins. DialError on a refusal."""
    raise_descriptor_limit(plan.streams + plan.newcomers)
    listeners = Listeners(target, plan.payload, Arrivals(plan.frames))
    gc.collect()
    gc.disable()  # a collection would make frames look late, and this code makes no reference cycles
    try:
        resident = resident_bytes(pid)
        _gather(listeners, plan)
        grown = resident_bytes(pid) - resident
        before = _usage(pid)
        listeners.closed = listeners.bad = 0
        listeners.slowest = 0.0
        begin()
        first = before.at + plan.newcomers_after
        listeners.dial([first + number / plan.newcomers_rate for number in range(plan.newcomers)])
        listeners.run(lambda now: now >= before.at + plan.seconds)
        after = _usage(pid)
        if not listeners.complete:
            raise DialError("not all newcomers were answered in the window")
        figures = summarise(listeners.arrivals, listeners.answered, before, after)
        figures |= {
            "kib_per_stream": grown / plan.streams / 1024,
            "own_slowest": listeners.slowest * 1000,
            "closed": listeners.closed,
            "bad": listeners.bad,
        }
        return Report(**figures)  # type: ignore[arg-type]
    finally:
        gc.enable()
        listeners.close()


def _gather(listeners: Listeners, plan: Plan) -> None:
    """Connect the first group of listeners, and let them listen for the warm-up."""
    now = time.monotonic()
    listeners.dial([now + number / plan.rate for number in range(plan.streams)])
    deadline = now + plan.streams / plan.rate + _ANSWERED
    listeners.run(lambda now: listeners.complete or now > deadline)
    if not listeners.complete:
        raise DialError(f"{len(listeners.answered)} of {plan.streams} were answered in time")
    warm = time.monotonic() + plan.warm_up
    listeners.run(lambda now: now >= warm)


def _usage(pid: int) -> Usage:
    return Usage(time.monotonic(), cpu_seconds(pid), time.process_time())
