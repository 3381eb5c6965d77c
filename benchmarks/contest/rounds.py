"""Rounds of measurements: all servers take turns, so that other work of the machine affects all of them alike."""

import itertools
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.listeners.measure import Plan
from benchmarks.listeners.report import Report
from benchmarks.tables import medians

from .contender import Contender, UnmeasuredError

Job = tuple[Contender, int]  # a server, and the number of streams to measure it with


@dataclass
class Measured:
    """All reports of a benchmark so far."""

    reports: dict[Job, list[Report]] = field(default_factory=lambda: defaultdict(list))
    unmeasured: dict[Job, str] = field(default_factory=dict)  # why a run has no report

    def medians(self, contender: Contender, streams: int) -> Mapping[str, float]:
        """The median of every figure over all rounds; empty if the server was not measured with these streams."""
        reports = self.reports.get((contender, streams))
        return medians([report.as_dict() for report in reports]) if reports else {}

    def healthy(self, contender: Contender, streams: int) -> Mapping[str, float]:
        """The median of every figure over all rounds; empty if there are none, or a run had trouble."""
        return {} if self.trouble(contender, streams) else self.medians(contender, streams)

    def trouble(self, contender: Contender, streams: int) -> str:
        """Why the figures are not those of a healthy server; "" if they are."""
        job = contender, streams
        troubles = (report.trouble for report in self.reports.get(job, ()) if report.trouble)
        return self.unmeasured.get(job) or next(troubles, "")

    def run(self, jobs: Sequence[Job], rounds: int, plan: Plan, progress: Progress) -> None:
        """Measure all servers, round after round."""
        task = progress.add_task("", total=rounds * len(jobs))
        for number, (contender, streams) in itertools.product(range(1, rounds + 1), jobs):
            progress.update(task, description=f"round {number}: {contender.name}, {streams} streams")
            try:
                report = contender.measure(plan, streams)
            except UnmeasuredError as why:
                self.unmeasured[contender, streams] = str(why)
            else:
                self.reports[contender, streams].append(report)
            progress.advance(task)
        progress.remove_task(task)


def progress_bar() -> Progress:
    """A progress bar of measurements. It is redrawn seldom, so that it does not disturb what is measured."""
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, refresh_per_second=2, transient=True)
