"""The report of a soak test: its problems, its tables and its JSON file."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

from benchmarks.servers import Scrape

from .tally import Kind, Tally
from .watch import History, by_label

GROWN_MB, GROWN_SHARE = 32.0, 0.1  # memory may grow by 32 MB plus a tenth of its size at the start
GROWN_FDS = 8  # open files by which a server without calls may have more at the end than at the start
OUTLIERS = 0.001  # the share of calls that may have a frame more than 250 ms late
FEW = 3  # the number of calls that may have a frame more than 250 ms late, however short the test
_COLUMNS = ("calls", "frames", "lost", "wrong", "waits", "> 20 ms", "> 60 ms", "worst ms", "> 250 ms", "failed")


@dataclass
class Report:
    """The result of a soak test. `begin` and `end` are the server's metrics without calls, before and after."""

    seconds: float
    seed: int
    tally: Tally
    history: History
    begin: Scrape
    end: Scrape
    changes: Mapping[str, int]  # the number of changes of prompts, by kind of change
    reloads: Counter[str]  # the number of reloads that were requested, with and without a mistake
    taken_in: int  # the number of changed configurations that the server has taken in, by its log
    errors: list[str]  # errors in the server's log
    unfinished: list[str]  # names of recordings that were not finished
    own_lag: float  # the longest delay of this process's event loop, in seconds
    server_code: int | None  # the exit code of the server; None if it did not end

    @property
    def problems(self) -> list[str]:
        """The reasons why the test has failed; empty if it has passed."""
        total, (first, last) = self.tally.total, self.history.ends("rss_mb")
        fds = [scrape["process_open_fds"] for scrape in (self.begin, self.end)]
        most = first * (1 + GROWN_SHARE) + GROWN_MB
        judged = {
            f"{total.lost} frames were lost": total.lost,
            f"{total.wrong} frames were wrong": total.wrong,
            f"{total.failed} calls did not begin or end as they should": total.failed,
            "there was no call": not total.calls,
            f"{total.outliers} of {total.calls} calls had a frame more than 250 ms late": (
                total.outliers > max(FEW, OUTLIERS * total.calls)
            ),
            f"the server did not get rid of {self.tally.survived.total()} peers": self.tally.survived.total(),
            "no change of the configuration was taken in": self.reloads["good"] > 1 and not self.taken_in,
            f"{len(self.errors)} errors are in the log: {self.errors[:1]}": self.errors,
            f"memory grew from {first:.0f} to {last:.0f} MB, over {most:.0f}": last > most,
            f"open files grew from {fds[0]:.0f} to {fds[1]:.0f}": fds[1] > fds[0] + GROWN_FDS,
            f"{self.end['mediaserver_sessions']:.0f} streams never ended": self.end["mediaserver_sessions"],
            f"{len(self.unfinished)} recordings were not finished": self.unfinished,
            f"the server ended with {self.server_code}": self.server_code != 0,
        }
        return [problem for problem, found in judged.items() if found]

    @property
    def exit_code(self) -> int:
        """The exit code of the soak test: 0 if it has passed, 1 if it has failed."""
        return 1 if self.problems else 0

    def as_dict(self) -> dict[str, Any]:
        """All figures for the JSON file."""
        rss, fds = self.history.ends("rss_mb"), [self.begin["process_open_fds"], self.end["process_open_fds"]]
        return {
            "passed": not self.problems,
            "problems": self.problems,
            "seconds": round(self.seconds, 1),
            "seed": self.seed,
            **self.tally.as_dict(),
            "rss_mb": {"start": rss[0], "end": rss[1], "per_hour": self.history.slope("rss_mb")},
            "fds_at_rest": {"start": fds[0], "end": fds[1]},
            "prompt_changes": dict(self.changes),
            "reloads_asked": dict(self.reloads),
            "reloads": dict(by_label(self.end, "mediaserver_reloads_total")),
            "peer_faults": dict(by_label(self.end, "mediaserver_peer_faults_total")),
            "refusals_told": dict(by_label(self.end, "mediaserver_refusals_total")),
            "late_ticks": self.end["mediaserver_late_ticks_total"],
            "skipped_ticks": self.end["mediaserver_skipped_ticks_total"],
            "log_errors": self.errors,
            "unfinished_recordings": self.unfinished,
            "own_worst_lag_ms": round(self.own_lag * 1000, 1),
            "server_exit_code": self.server_code,
            "samples": self.history.as_dicts(),
        }

    def write(self, folder: Path) -> Path:
        """Write the JSON file into a folder, and return its path."""
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "soak.json"
        file.write_text(json.dumps(self.as_dict(), indent=1) + "\n", encoding="utf-8")
        return file

    def show(self, console: Console) -> None:
        """Print the tables, the problems, and whether the test has passed."""
        console.print(self._calls(), self._server())
        for trouble in self.tally.trouble:
            console.print(f"  {trouble}", style="yellow", markup=False, highlight=False)
        for problem in self.problems:
            console.print(f"failed: {problem}", style="red", markup=False, highlight=False)
        if not self.problems:
            console.print("passed", style="green")

    def _calls(self) -> Table:
        table = Table(title=f"{self.seconds:.0f} s of calls, seed {self.seed}", title_justify="left", box=SIMPLE)
        table.add_column("kind")
        for heading in _COLUMNS:
            table.add_column(heading, justify="right")
        for name, kind in sorted(self.tally.kinds.items()):
            table.add_row(name, *_cells(kind))
        table.add_section()
        table.add_row("all", *_cells(self.tally.total))
        return table

    def _server(self) -> Table:
        told, end, history = self.as_dict(), self.end, self.history
        rss, cache = history.ends("rss_mb"), history.ends("cache_mb")
        fds = told["fds_at_rest"]
        rows = {
            "memory": f"{rss[0]:.1f} → {rss[1]:.1f} MB, {history.slope('rss_mb'):+.1f} MB an hour",
            "of it prompts": f"{cache[0]:.1f} → {cache[1]:.1f} MB",
            "open files at rest": f"{fds['start']:.0f} → {fds['end']:.0f}",
            "late, skipped ticks": f"{told['late_ticks']:.0f}, {told['skipped_ticks']:.0f}"
            f" of {end['mediaserver_frames_total']:.0f} frames",
            "refusals": _list(self.tally.refusals),
            "peers that misbehaved": _list(self.tally.faults),
            "as the server saw them": _list(told["peer_faults"]),
            "prompts": f"{_list(self.changes)}; {self.tally.renewed} calls heard new ones",
            "reloads": f"{_list(told['reloads'])}; asked for: {_list(self.reloads)}",
            "errors in the log": str(len(self.errors)),
            "exit code": str(self.server_code),
            "our own worst lag": f"{told['own_worst_lag_ms']:.0f} ms",
        }
        table = Table(title="Server", title_justify="left", box=SIMPLE, show_header=False)
        for name, value in rows.items():
            table.add_row(name, value)
        return table


def _cells(kind: Kind) -> list[str]:
    counts = (kind.calls, kind.frames, kind.lost, kind.wrong, kind.waits)
    late = (kind.late_20, kind.late_60)
    shares = [f"{count} ({count / max(1, kind.frames):.3%})" for count in late]
    return [*map(str, counts), *shares, f"{kind.worst_ms:.0f}", str(kind.outliers), str(kind.failed)]


def _list(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(counts.items())) or "none"
