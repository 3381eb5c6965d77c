"""What may happen to a server, one thing at a time, and what its figures are held to meanwhile.

    python -m benchmarks.scenarios [idle crowd hangups detectors …] [--minutes 10] [--write]

It prints a row for each scenario, and ends with 1 where one does not hold. --write puts the table of all of them
into benchmarks/README.md. The server gets the first core, its load the second; for `start` and `speech` it has
both. Linux only.
"""

import argparse
import datetime
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path

from rich.console import Console

from benchmarks.machine import LOAD_CORE, describe, need_two_cores
from benchmarks.tables import Results, write_section

from .console import console
from .crowd import crowd
from .detectors import detectors
from .drift import drift
from .hangups import hangups
from .hold_up import hold_up
from .idle import idle
from .memory import memory
from .outcome import Outcome
from .replace import replace
from .speech import speech
from .start import start

_README = Path(__file__).resolve().parent.parent / "README.md"
_WIDTH = 170  # columns of what goes into a file

Scenario = Callable[[Path], Outcome]  # gets an empty folder; SystemExit where it cannot be measured


def scenarios(minutes: float) -> Mapping[str, Scenario]:
    """All of them, by name."""
    return {
        "idle": idle,
        "crowd": crowd,
        "hangups": hangups,
        "detectors": detectors,
        "hold-up": hold_up,
        "console": console,
        "replace": replace,
        "speech": speech,
        "start": start,
        "drift": partial(drift, minutes=minutes),
        "memory": memory,
    }


def go_through(known: Mapping[str, Scenario], names: Iterable[str], terminal: Console) -> Mapping[str, Outcome]:
    """What is found in each of these scenarios. One that cannot be measured does not hold, and ends no other."""
    outcomes = {}
    for name in names:
        with terminal.status(name), tempfile.TemporaryDirectory() as folder:
            try:
                outcomes[name] = known[name](Path(folder))
            except SystemExit as why:
                outcomes[name] = Outcome("", f"not measured: {why}", "", holds=False)
    return outcomes


def table(outcomes: Mapping[str, Outcome]) -> Results:
    """A row for each."""
    rows = [
        [name, outcome.what, outcome.found, outcome.held_to, "yes" if outcome.holds else "no"]
        for name, outcome in outcomes.items()
    ]
    notes = [note for outcome in outcomes.values() for note in outcome.notes]
    return Results("Scenarios", ["", "what happens", "found", "held to", "holds"], rows, notes)


def main() -> int:
    """Go through those that were named, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="all, where none is named")
    parser.add_argument("--minutes", type=float, default=10.0, help="of drift")
    parser.add_argument("--write", action="store_true", help="the table into benchmarks/README.md")
    options = parser.parse_args()
    known = scenarios(options.minutes)
    if unknown := set(options.names) - set(known):
        parser.error(f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if options.write and set(options.names) not in (set(), set(known)):
        parser.error("--write takes all scenarios: the table is written as a whole")
    need_two_cores()
    os.sched_setaffinity(0, {LOAD_CORE})
    terminal = Console()
    if not terminal.is_terminal:
        terminal.width = _WIDTH
    outcomes = go_through(known, options.names or known, terminal)
    terminal.print(describe(), soft_wrap=True, highlight=False)
    terminal.print(table(outcomes).on_terminal())
    if options.write:
        when = datetime.datetime.now(datetime.UTC).date()
        write_section(_README, "scenarios", f"{describe()}; {when}.\n\n{table(outcomes).as_markdown()}")
    return 0 if all(outcome.holds for outcome in outcomes.values()) else 1


if __name__ == "__main__":
    raise SystemExit(main())
