"""The command line of a benchmark of many streams, and what it prints and writes in the same way."""

import argparse
import datetime
import os
from collections.abc import Sequence

from rich.console import Console

from benchmarks.listeners.measure import Plan
from benchmarks.machine import LOAD_CORE, describe, need_two_cores

from .contender import Contender
from .rounds import Job, Measured, progress_bar

_WIDTH = 170  # columns of output that is redirected into a file
_QUICK = {"rounds": 1, "seconds": 1.5, "sweep": ()}


def numbers(text: str) -> tuple[int, ...]:
    """The numbers in a text such as 1000,200."""
    return tuple(int(number) for number in text.split(",") if number)


def parser_of(text: str | None, streams: Sequence[int], sweep: Sequence[int]) -> argparse.ArgumentParser:
    """A parser of the options that all such benchmarks have, for `parse`."""
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one short round, and no sweep")
    parser.add_argument("--write", action="store_true", help="results and plot into the documentation")
    parser.add_argument("--streams", type=numbers, default=tuple(streams), help="of the tables")
    parser.add_argument("--sweep", type=numbers, default=tuple(sweep), help="of the plot")
    parser.add_argument("--seconds", type=float, default=3.0, help="measured in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="rows of the media server whose names hold this")
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options of the command line. The program ends with a message if they do not fit together."""
    chosen, _ = parser.parse_known_args()
    if chosen.quick:
        parser.set_defaults(**_QUICK)
    options = parser.parse_args()
    if options.write and options.only:
        parser.error("--write takes all servers: the table is written as a whole")
    if options.write and not options.sweep:
        parser.error("--write needs a --sweep: the plot is part of what is written")
    return options


def begin() -> Console:
    """Put this process on the load's core, and print what machine it is. SystemExit without two cores."""
    need_two_cores()
    os.sched_setaffinity(0, {LOAD_CORE})  # servers are put on another core
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    console.print(describe(), soft_wrap=True, highlight=False)
    return console


def plan_of(options: argparse.Namespace) -> Plan:
    """What every run has in common."""
    return Plan(seconds=options.seconds, warm_up=0.7, rate=1500)


def chosen(contenders: Sequence[Contender], options: argparse.Namespace) -> list[Contender]:
    """All yardsticks, and the media server's contenders that were chosen."""
    return [each for each in contenders if each.yardstick or options.only in each.name]


def measure(table: Sequence[Contender], swept: Sequence[Contender], options: argparse.Namespace) -> Measured:
    """Measure all figures that tables and plot show."""
    jobs: list[Job] = [(contender, streams) for streams in options.streams for contender in table]
    jobs += [(contender, streams) for streams in options.sweep for contender in swept]
    measured = Measured()
    with progress_bar() as progress:
        measured.run(list(dict.fromkeys(jobs)), options.rounds, plan_of(options), progress)
    return measured


def how(options: argparse.Namespace) -> str:
    """How it was measured, for titles."""
    rounds = f"medians of {options.rounds} rounds" if options.rounds > 1 else "one round"
    return f"{rounds} of {options.seconds:g} s"


def where() -> str:
    """The machine, and the day."""
    return f"{describe()}; {datetime.datetime.now(datetime.UTC).date()}."
