"""What it costs to hear as well as to play: many two-way streams, beside servers in Python and in Go.

    python -m benchmarks.inbound [--quick] [--write] [--streams 300,1000] [--seconds 3] [--rounds 3] ...

Every peer says a frame of speech every 20 ms and is sent one. A server gets the first core, the peers the second;
servers take turns, round after round, and the tables show medians: on a machine that does other things as well,
the ratios tell more than the microseconds. Yardsticks to hold the others against:

    reader                aiohttp on uvloop, which reads messages and drops them, and sends nothing
    two-way               the same, and one ticker that writes the same message to every peer every 20 ms
    bare loop             what Python can do at the least: one thread, one `send` and one `recv` for each frame
    naive aiohttp         a first try: each call has a coroutine that sends and sleeps, and one that reads
    Go, reads and drops   a first try in Go
    Go, echo              the same, which sends back what it has read
    Go, TLS               the same as the first, by TLS

The media server, by what is done with what is heard:

    prompt                nothing: a prompt plays
    prompt, TLS           the same by TLS
    prompt, dialled by it the same in streams that the server dials, so that it masks what it sends
    prompt, dialled, TLS  the same by TLS
    silence               nothing: silence is sent
    echo                  it is queued, and sent back
    record                it is written to a file, once a second
    menu                  digits are heard in it
    analyse               digits, speech and levels are

A cost is told only where the peers said 99 % of what they had to, and the server kept up with it. --write puts the
tables and the plot into the benchmarks' folder, and a short table into the docs. Linux only.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks.contest import options as contest_options
from benchmarks.contest.contender import Contender, present
from benchmarks.contest.results import sweep_table
from benchmarks.contest.rounds import Measured
from benchmarks.listeners.speech import SAID_BYTES
from benchmarks.tables import Results, write_section
from benchmarks.yardsticks import golang

from .contenders import FORMATS, Contest, contest
from .results import picture, table, write_docs

_HERE = Path(__file__).resolve().parent.parent
STREAMS, SWEEP = (300, 1000), (100, 200, 300, 500, 1000)


def tables(
    measured: Measured, everybody: Contest, swept: Sequence[Contender], options: argparse.Namespace
) -> list[Results]:
    """All results."""
    size = SAID_BYTES[FORMATS[options.encapsulation]]
    how = f"{options.encapsulation}, {size} bytes each way every 20 ms; {contest_options.how(options)}"
    found = [table(measured, everybody, streams, how) for streams in options.streams]
    if options.sweep:
        found.append(sweep_table(measured, swept, options.sweep, how))
    return found


def write(results: Sequence[Results]) -> None:
    """Write the results and the plot into the benchmarks' folder, and a short table into the docs."""
    from .plot import draw  # imported here, because only drawing needs matplotlib

    page = _HERE / "README.md"
    full = [contest_options.where(), picture(_HERE, page), *(result.as_markdown() for result in results)]
    write_section(page, "inbound", "\n\n".join(full))
    draw()
    write_docs(_HERE.parent)


def main() -> None:
    """Measure, print the results, and write them if --write is given."""
    parser = contest_options.parser_of(__doc__, STREAMS, SWEEP)
    parser.add_argument("--encapsulation", choices=tuple(FORMATS), default="audiosocket")
    options = contest_options.parse(parser)
    if options.write and options.encapsulation != "audiosocket":
        parser.error("--write takes audiosocket: the docs have its figures")
    console, missing = contest_options.begin(), golang.missing()
    if missing:
        console.print(missing)
    everybody = contest(options.encapsulation)
    swept = present(everybody.swept, missing)
    chosen = present(contest_options.chosen(everybody.all, options), missing)
    measured = contest_options.measure(chosen, [each for each in swept if each in chosen], options)
    results = tables(measured, everybody, swept, options)
    for result in results:
        console.print(result.on_terminal())
    if options.write:
        write(results)
        console.print("wrote benchmarks/README.md, benchmarks/inbound.svg, and the short table of the docs")


if __name__ == "__main__":
    main()
