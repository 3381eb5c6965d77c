"""Searches for the most streams that one core carries with a lateness p99 under 10 ms."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.contest.contender import UnmeasuredError
from benchmarks.listeners.report import Report
from benchmarks.machine import SATURATED

LATE = 10.0  # ms of lateness p99 from which streams count as late
# The search: the first number of streams, the factor to the next higher one, and the relative difference of a good
# and a bad number at which the search ends.
_FIRST, _GROWTH, _CLOSE = 1500, 1.5, 0.1
_CEILING = 9000  # the most streams that are tried: fewer than the server's default limit


@dataclass(frozen=True)
class Most:
    """The result of a search: `streams` went well. `limited` tells that the listeners could carry no more."""

    streams: int
    limited: bool

    def __str__(self) -> str:
        return f"at least {self.streams}" if self.limited else f"{self.streams}"


def carried(report: Report) -> bool:
    """Whether all streams of a run got all their frames in time."""
    return not report.failure and report.lateness_p99 < LATE


def search(measure: Callable[[int], Report]) -> Most:
    """Raise the number of streams until a run fails, then bisect until good and bad are a tenth, or 1, apart.

    `measure` makes one run with a number of streams, and returns its report, or raises UnmeasuredError.
    """
    good, bad, limited = 0, _CEILING + 1, False
    streams = _FIRST
    while bad - good > max(1, good * _CLOSE) and streams <= _CEILING:
        try:
            report = measure(streams)
        except UnmeasuredError:
            bad, limited = streams, False
        else:
            if carried(report):
                good = streams
            else:
                bad, limited = streams, report.own_core > SATURATED and report.server_core < SATURATED
        streams = round(good * _GROWTH if bad > _CEILING else (good + bad) / 2)
    return Most(good, limited or bad > _CEILING)
