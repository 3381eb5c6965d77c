"""Reports of runs that nobody has run."""

from collections.abc import Mapping, Sequence

from benchmarks.contest.contender import Contender
from benchmarks.contest.rounds import Measured
from benchmarks.listeners.report import Report

_NONE = ("said", "unheard", "closed", "bad", "silent", "newcomers_silent")


def report_of(us: float = 2.0, late: float = 1.0, **figures: float) -> Report:
    """A report of a healthy server."""
    names = dict.fromkeys(Report.__dataclass_fields__, 0.1)
    healthy = {"streams": 100, "seconds": 10.0, "share": 1.0, "us_per_frame": us, "lateness_p99": late}
    healthy |= dict.fromkeys(_NONE, 0)
    return Report(**names | healthy | figures)  # type: ignore[arg-type]


def measured_of(costs: Mapping[Contender, Sequence[float]]) -> Measured:
    """Rounds with 100 and with 200 streams, in which the servers cost so many microseconds a frame."""
    result = Measured()
    for streams in (100, 200):
        for contender, rounds in costs.items():
            result.reports[contender, streams] = [report_of(cost, streams / 100) for cost in rounds]
    return result
