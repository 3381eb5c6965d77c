"""Rounds: everybody in turn, again and again, so that what else the machine does falls on all alike."""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.listeners.measure import Plan
from benchmarks.listeners.report import Report
from benchmarks.tables import medians

from .contenders import Contender

Job = tuple[Contender, int]  # who, with how many streams


@dataclass
class Measured:
    """All reports so far."""

    reports: dict[Job, list[Report]] = field(default_factory=lambda: defaultdict(list))

    def medians(self, contender: Contender, streams: int) -> Mapping[str, float]:
        """Of every figure; empty where it was not measured."""
        reports = self.reports.get((contender, streams))
        return medians([report.as_dict() for report in reports]) if reports else {}

    def healthy(self, contender: Contender, streams: int) -> Mapping[str, float]:
        """The same, and empty where something went wrong as well."""
        return {} if self.trouble(contender, streams) else self.medians(contender, streams)

    def trouble(self, contender: Contender, streams: int) -> str:
        """Why its figures are not a healthy server's, where they are not."""
        return next(
            (report.trouble for report in self.reports.get((contender, streams), ()) if report.trouble), ""
        )

    def run(self, jobs: Sequence[Job], rounds: int, plan: Plan, progress: Progress) -> None:
        """Measure everybody, round after round."""
        task = progress.add_task("", total=rounds * len(jobs))
        for number, (contender, streams) in itertools.product(range(1, rounds + 1), jobs):
            progress.update(task, description=f"round {number}: {contender.name}, {streams} streams")
            report = contender.measure(plan, streams)
            self.reports[contender, streams].append(report)
            progress.advance(task)
        progress.remove_task(task)


def progress_bar() -> Progress:
    """Of measurements; it must not be one of what is measured, so it moves seldom."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, refresh_per_second=2, transient=True)
