"""How many streams one core carries: the most with lateness p99 under 10 ms."""

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.listeners.report import Report
from benchmarks.machine import SATURATED

LATE = 10.0  # ms
_FIRST, _GROWTH, _CLOSE = 1500, 1.5, 0.1  # the first trial, steps upwards, and when two are near enough
_CEILING = 9000  # under the default limit of streams


@dataclass(frozen=True)
class Most:
    """`streams` went well. `limited`: the listeners could carry no more, so the server may."""

    streams: int
    limited: bool

    def __str__(self) -> str:
        return f"at least {self.streams}" if self.limited else f"{self.streams}"


def carried(report: Report) -> bool:
    """Whether all streams got all their frames, in time."""
    return not report.failure and report.lateness_p99 < LATE


def search(measure: Callable[[int], Report]) -> Most:
    """Upwards in steps until it is too much, then between the two, until they are within a tenth, or one apart.

    `measure` gives the report of one run with so many streams.
    """
    good, bad, limited = 0, _CEILING + 1, False
    streams = _FIRST
    while bad - good > max(1, good * _CLOSE) and streams <= _CEILING:
        report = measure(streams)
        if carried(report):
            good = streams
        else:
            bad, limited = streams, report.own_core > SATURATED and report.server_core < SATURATED
        streams = round(good * _GROWTH if bad > _CEILING else (good + bad) / 2)
    return Most(good, limited or bad > _CEILING)
