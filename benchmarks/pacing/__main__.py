"""Measures what a paced frame costs and how evenly frames come: the media server, beside servers in Python and Go.

    python -m benchmarks.pacing [--quick] [--most] [--write] [--streams 1000,200] [--seconds 3] [--rounds 3] ...

A server gets the first core, its listeners the second. Servers take turns, round after round, and tables show
medians. On a machine that does other work as well, the ratios tell more than the microseconds. --write puts the
results into benchmarks/README.md, the plot into the same folder, and a short table into the pages of the docs that
have a section for it. Linux only.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.contest import options as contest
from benchmarks.contest.contender import Contender, present
from benchmarks.contest.results import sweep_table
from benchmarks.contest.rounds import Measured, progress_bar
from benchmarks.listeners.report import Report
from benchmarks.tables import Results, pages_with, write_section
from benchmarks.yardsticks import golang

from .contenders import CONTENDERS, SWEPT
from .most import LATE, search
from .results import cost_table, in_short

HERE = Path(__file__).resolve().parent.parent
STREAMS, SWEEP = (1000, 200), (100, 200, 400, 700, 1000, 1500)


def most(swept: Sequence[Contender], options: argparse.Namespace) -> Results:
    """Search for the most streams that each server carries."""
    rows, plan = [], contest.plan_of(options)
    with progress_bar() as progress:
        task = progress.add_task("", total=None)
        for contender in swept:

            def attempt(streams: int, contender: Contender = contender) -> Report:
                progress.update(task, description=f"the most: {contender.name}, {streams} streams")
                return contender.measure(plan, streams)

            rows.append([contender.name, str(search(attempt))])
    return Results(f"Most streams on one core with lateness p99 under {LATE:g} ms", ["", "streams"], rows)


def tables(measured: Measured, swept: Sequence[Contender], options: argparse.Namespace) -> list[Results]:
    """All results except the most streams on one core."""
    how = contest.how(options)
    found = [cost_table(measured, CONTENDERS, streams, how) for streams in options.streams]
    if options.sweep:
        found.append(sweep_table(measured, swept, options.sweep, how))
    return found


def write(measured: Measured, results: Sequence[Results], options: argparse.Namespace) -> None:
    """Write the results and the plot into the benchmarks folder, and a short table into the docs."""
    from .plot import draw  # imported here, because only drawing needs matplotlib

    where = contest.where()
    full = [where, *(result.as_markdown() for result in results)]
    write_section(HERE / "README.md", "pacing", "\n\n".join(full))
    draw()
    short = in_short(measured, CONTENDERS, options.streams)
    for page in pages_with("pacing", HERE.parent):
        write_section(page, "pacing", f"{short.as_markdown()}\n\n{where}")


def tell(console: Console, measured: Measured, results: Sequence[Results], options: argparse.Namespace) -> None:
    """Print all results so far, and write them if --write is given."""
    for result in results:
        console.print(result.on_terminal())
    if options.write:
        write(measured, results, options)
        console.print("wrote benchmarks/README.md, benchmarks/pacing.svg, and the short table of the docs")


def main() -> None:
    """Measure, print the results, and write them if --write is given."""
    parser = contest.parser_of(__doc__, STREAMS, SWEEP)
    parser.add_argument("--most", action="store_true", help="also search for the most streams that a core carries")
    options = contest.parse(parser)
    console, missing = contest.begin(), golang.missing()
    if missing:
        console.print(missing)
    swept = present(SWEPT, missing)
    measured = contest.measure(present(contest.chosen(CONTENDERS, options), missing), swept, options)
    results = tables(measured, swept, options)
    tell(console, measured, results, options)
    if options.most:  # after all other results are printed, because the search takes long
        results.append(most(swept, options))
        tell(console, measured, results, options)


if __name__ == "__main__":
    main()
