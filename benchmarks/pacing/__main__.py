"""Measures what a paced frame costs and how evenly frames come: media server, bare loop and naive server.

    python -m benchmarks.pacing [--quick] [--most] [--write] [--streams 1000,200] [--seconds 3] [--rounds 3] ...

A server gets the first core, its listeners the second. Servers take turns, round after round, and tables show
medians. On a machine that does other work as well, the ratios tell more than the microseconds. --write puts the
results into benchmarks/README.md, the plot into the same folder, and a short table into the pages of the docs that
have a section for it. Linux only.
"""

import argparse
import datetime
import os
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from benchmarks.listeners.measure import Plan
from benchmarks.listeners.report import Report
from benchmarks.machine import LOAD_CORE, describe, need_two_cores
from benchmarks.tables import Results, pages_with, write_section

from .contenders import CONTENDERS, SWEPT, YARDSTICKS, Contender
from .most import LATE, search
from .results import cost_table, in_short, sweep_table
from .rounds import Measured, progress_bar

HERE = Path(__file__).resolve().parent.parent
SWEEP = (100, 200, 400, 700, 1000, 1500)
_WIDTH = 150  # columns of output that is redirected into a file
_QUICK = {"rounds": 1, "seconds": 1.5, "sweep": ()}


def numbers(text: str) -> tuple[int, ...]:
    """The numbers in a text such as 1000,200."""
    return tuple(int(number) for number in text.split(",") if number)


def arguments() -> argparse.Namespace:
    """The options of the command line. The program ends with a message if they do not fit together."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a minute: one short round, and no sweep")
    parser.add_argument("--most", action="store_true", help="also search for the most streams that a core carries")
    parser.add_argument("--write", action="store_true", help="results and plot into the documentation")
    parser.add_argument("--streams", type=numbers, default="1000,200", help="of the tables")
    parser.add_argument("--sweep", type=numbers, default=SWEEP, help="of the plot")
    parser.add_argument("--seconds", type=float, default=3.0, help="measured in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="rows of the media server whose names hold this")
    chosen, _ = parser.parse_known_args()
    if chosen.quick:
        parser.set_defaults(**_QUICK)
    options = parser.parse_args()
    if options.write and not options.sweep:
        parser.error("--write needs a --sweep: the plot is part of what is written")
    return options


def measure(options: argparse.Namespace, plan: Plan) -> Measured:
    """Measure all figures that the tables and the plot show."""
    chosen = [each for each in CONTENDERS if each in YARDSTICKS or options.only in each.name]
    table = [(contender, streams) for streams in options.streams for contender in chosen]
    swept = [(contender, streams) for streams in options.sweep for contender in SWEPT]
    measured = Measured()
    with progress_bar() as progress:
        measured.run(list(dict.fromkeys(table + swept)), options.rounds, plan, progress)
    return measured


def most(plan: Plan) -> Results:
    """Search for the most streams that each server carries."""
    rows = []
    with progress_bar() as progress:
        task = progress.add_task("", total=None)
        for contender in SWEPT:

            def attempt(streams: int, contender: Contender = contender) -> Report:
                progress.update(task, description=f"the most: {contender.name}, {streams} streams")
                return contender.measure(plan, streams)

            rows.append([contender.name, str(search(attempt))])
    return Results(f"Most streams on one core with lateness p99 under {LATE:g} ms", ["", "streams"], rows)


def tables(measured: Measured, options: argparse.Namespace) -> list[Results]:
    """All results except the most streams on one core."""
    rounds = f"medians of {options.rounds} rounds" if options.rounds > 1 else "one round"
    how = f"{rounds} of {options.seconds:g} s"
    found = [cost_table(measured, CONTENDERS, streams, how) for streams in options.streams]
    if options.sweep:
        found.append(sweep_table(measured, SWEPT, options.sweep, how))
    return found


def write(measured: Measured, results: Sequence[Results], options: argparse.Namespace) -> None:
    """Write the results and the plot into the benchmarks folder, and a short table into the docs."""
    from .plot import draw  # imported here, because only drawing needs matplotlib

    when = datetime.datetime.now(datetime.UTC).date()
    where = f"{describe()}; {when}."
    full = [where, *(result.as_markdown() for result in results)]
    write_section(HERE / "README.md", "pacing", "\n\n".join(full))
    draw(HERE / "README.md", HERE / "pacing.svg")
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
    options = arguments()
    need_two_cores()
    os.sched_setaffinity(0, {LOAD_CORE})  # this process; servers are put on another core
    plan = Plan(seconds=options.seconds, warm_up=0.7, rate=1500)
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(describe(), soft_wrap=True, highlight=False)
    measured = measure(options, plan)
    results = tables(measured, options)
    tell(console, measured, results, options)
    if options.most:  # after all other results are printed, because the search takes long
        results.append(most(plan))
        tell(console, measured, results, options)


if __name__ == "__main__":
    main()
