"""One run of listeners: connect, warm up, listen for a window of time, and report."""

import gc
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.machine import cpu_seconds, resident_bytes
from mediaserver.audio.pcm import PTIME
from mediaserver.server.http.descriptors import raise_descriptor_limit

from .arrivals import Arrivals
from .core_waits import CoreWaits
from .dialling import Target
from .epoll import Listeners
from .handshake import DialError
from .report import Report, Usage, summarise
from .speech import Speech, Talkers

LISTENING, MEASURING = "listening", "measuring"  # what is told in a run
_ANSWERED = 30.0  # seconds after the last dialling within which all listeners must be connected


@dataclass(frozen=True)
class Plan:
    """How many listeners there are, and for how long, in seconds.

    `payload` is the number of bytes in a message, 0 where the server sends none; `rate` the number of handshakes
    per second. With `says`, a format of speech.py, the listeners talk. Newcomers take turns to dial
    `newcomers_paths`, separated by commas, if there are any, and talk with `newcomers_say`. As many listeners as
    `leavers` hang up in one moment. Every `excuse_every` seconds it is looked for how long the server and the
    listeners had to wait for a core, 0 never.
    """

    streams: int = 1000
    seconds: float = 5.0
    warm_up: float = 1.0
    rate: float = 1000.0
    payload: int = 320
    says: str = ""
    newcomers: int = 0
    newcomers_rate: float = 1000.0
    newcomers_after: float = 0.0
    newcomers_paths: str = ""
    newcomers_say: str = ""
    leavers: int = 0
    leavers_after: float = 0.0
    excuse_every: float = 0.0

    @property
    def frames(self) -> int:
        """The number of frames for which to reserve room: all that can arrive, and 20 % more."""
        dialling = self.streams / self.rate
        seconds = 1.2 * (dialling + self.warm_up + self.seconds) + 1
        return round((self.streams + self.newcomers) * seconds / PTIME)


def measure(
    target: Target,
    pid: int,
    plan: Plan,
    tell: Callable[[str], None] = lambda word: None,
    server: socket.socket | None = None,
) -> Report:
    """Listen to the server of process `pid`. DialError if there is no connection.

    With `server`, a listening socket, the server has to dial the listeners there as soon as `tell` is called with
    LISTENING. `tell` is called with MEASURING when the window begins.
    """
    raise_descriptor_limit(plan.streams + plan.newcomers)
    listeners = Listeners(target, plan.payload, Arrivals(plan.frames), server)
    gc.collect()
    gc.disable()  # a collection would make frames look late, and this code makes no reference cycles
    try:
        resident = resident_bytes(pid)
        if server is not None:
            tell(LISTENING)
        talkers = _talkers(plan.says, masked=server is None)
        _gather(listeners, plan, talkers)
        grown = resident_bytes(pid) - resident
        before = _usage(pid, talkers)
        listeners.closed = listeners.bad = 0
        listeners.slowest = 0.0
        tell(MEASURING)
        first = before.at + plan.newcomers_after
        listeners.dial(
            [first + number / plan.newcomers_rate for number in range(plan.newcomers)],
            paths=plan.newcomers_paths.split(",") if plan.newcomers_paths else (),
            talkers=_talkers(plan.newcomers_say, masked=True),
        )
        left = listeners.hang_up(before.at + plan.leavers_after, plan.leavers)
        waits = CoreWaits((pid, os.getpid()), plan.excuse_every)

        def is_over(now: float) -> bool:
            waits.look(now)
            return now >= before.at + plan.seconds

        listeners.run(is_over)
        after = _usage(pid, talkers)
        if not listeners.complete:
            raise DialError("not all newcomers were answered in the window")
        stayed = {listener: at for listener, at in listeners.answered.items() if listener not in left}
        figures = summarise(listeners.arrivals, stayed, before, after, waits)
        figures |= {
            "payload": plan.payload,
            "kib_per_stream": grown / plan.streams / 1024,
            "own_slowest": listeners.slowest * 1000,
            "closed": listeners.closed,
            "bad": listeners.bad,
            "unheard": talkers.unheard if talkers else 0,
        }
        return Report(**figures)  # type: ignore[arg-type]
    finally:
        gc.enable()
        listeners.close()


def _talkers(words: str, *, masked: bool) -> Talkers | None:
    return Talkers(Speech(words, masked=masked), time.monotonic()) if words else None


def _gather(listeners: Listeners, plan: Plan, talkers: Talkers | None) -> None:
    """Connect the first group of listeners, and let them listen for the warm-up."""
    now = time.monotonic()
    listeners.dial([now + number / plan.rate for number in range(plan.streams)], talkers=talkers)
    deadline = now + plan.streams / plan.rate + _ANSWERED
    listeners.run(lambda now: len(listeners.answered) == plan.streams or now > deadline)
    if len(listeners.answered) < plan.streams:
        raise DialError(f"{len(listeners.answered)} of {plan.streams} were answered in time")
    warm = time.monotonic() + plan.warm_up
    listeners.run(lambda now: now >= warm)


def _usage(pid: int, talkers: Talkers | None) -> Usage:
    return Usage(time.monotonic(), cpu_seconds(pid), time.process_time(), talkers.said if talkers else 0)
