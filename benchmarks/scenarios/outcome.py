"""What every scenario gives."""

from dataclasses import dataclass

from benchmarks.listeners.report import Report

EXCUSE_EVERY = 0.005  # seconds between two looks for how long the server and its load waited for a core


@dataclass(frozen=True)
class Outcome:
    """A row of the table."""

    what: str
    found: str
    held_to: str
    holds: bool
    notes: tuple[str, ...] = ()


def late(report: Report) -> str:
    """Its lateness, for people."""
    return f"p99 {report.lateness_p99:.2f}, p99.9 {report.lateness_p999:.2f}, max {report.lateness_max:.1f} ms"


def excused(report: Report) -> str:
    """The part of its lateness that is not the machine's, for people."""
    return f"without waits for a core p99 {report.excused_p99:.2f}, p99.9 {report.excused_p999:.2f} ms"


def troubles(*reports: Report) -> tuple[str, ...]:
    """What went wrong meanwhile: a scenario in which anything did does not hold."""
    return tuple(report.trouble for report in reports if report.trouble)
