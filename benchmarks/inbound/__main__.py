"""What a received frame costs: the media server with many two-way streams, beside a bare aiohttp reader.

    python -m benchmarks.inbound [--streams 300] [--seconds 4] [--rounds 3] [--encapsulation audiosocket] [--write]

Every peer sends a frame of speech every 20 ms and is sent one. A server gets the first core, the peers the second;
servers take turns, round after round, and the table shows medians: on a machine that does other things as well,
the ratios tell more than the microseconds. Two servers do the least that can be done, to hold the others against:

    reader     aiohttp on uvloop, reading messages and dropping them
    two-way    the same, and one ticker that writes the same message to every peer every 20 ms
    silence    the media server from here on, all in both directions; nobody listens
    echo       sound is queued, and sent back
    record     sound is written to a file, once a second
    menu       digits are heard in the sound
    analyse    digits, speech and levels

A cost is told only where the peers wrote 99 % of what they had to, and the server kept up with it. --write puts
the table into benchmarks/README.md, and a short one into the docs. Linux only.
"""

import argparse
import contextlib
import datetime
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from benchmarks.listeners.report import KEPT_UP
from benchmarks.machine import LOAD_CORE, SATURATED, describe, need_two_cores
from benchmarks.servers import free_port, media_server, process
from benchmarks.tables import Results, medians, pages_with, read_section, read_table, write_section

HERE = Path(__file__).resolve().parent
_README = HERE.parent / "README.md"
MESSAGE_BYTES = {"audiosocket": 323, "rtp": 332}

# What the docs call the servers.
_IN_DOCS = {
    "reader": "bare reader",
    "two-way": "bare, two-way",
    "silence": "`silence` (no handler listens)",
    "echo": "`echo`",
    "record": "`record`",
    "menu": "`menu` (digits)",
    "analyse": "`analyse` (digits, speech, levels)",
}

SETTINGS = """
[prompts]
directory = "{prompts}"
[defaults]
encapsulation = "{encapsulation}"
framing = "message"
rtp_payload = "l16"
[paths."/silence"]
handler = "silence"
[paths."/echo"]
handler = "echo"
[paths."/record"]
handler = "record"
directory = "{recordings}"
[paths."/menu"]
handler = "menu"
[paths."/menu".menus.main]
timeout = 600.0
keys.1 = {{ hangup = true }}
[paths."/analyse"]
handler = "analyse"
"""


@dataclass(frozen=True, slots=True)
class Contender:
    """A server, and the path that its peers call."""

    name: str
    path: str = "/"
    options: tuple[str, ...] | None = None  # of the bare server; the media server has none


def contenders(encapsulation: str) -> list[Contender]:
    """All that are measured, the two baselines first."""
    size = str(MESSAGE_BYTES[encapsulation])
    return [
        Contender("reader", options=()),
        Contender("two-way", options=("--speak", size)),
        *(Contender(name, f"/{name}") for name in ("silence", "echo", "record", "menu", "analyse")),
    ]


@contextlib.contextmanager
def serving(contender: Contender, encapsulation: str, folder: Path) -> Iterator[tuple[int, int]]:
    """A contender's process while it serves: its port and its id."""
    if contender.options is not None:
        port = free_port()
        reader = (sys.executable, "-m", "benchmarks.inbound.reader", str(port), *contender.options)
        with process(reader, port) as pid:
            yield port, pid
        return
    prompts = HERE.parent.parent / "prompts"
    settings = SETTINGS.format(prompts=prompts, recordings=folder, encapsulation=encapsulation)
    with media_server(folder, settings) as server:
        yield server.port, server.pid


def measure(contender: Contender, arguments: argparse.Namespace) -> dict[str, float]:
    """One round of one contender."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(contender, arguments.encapsulation, Path(folder)) as (port, pid),
    ):
        options = {"streams": arguments.streams, "seconds": arguments.seconds}
        command = [sys.executable, "-m", "benchmarks.inbound.peers", str(port), contender.path, str(pid)]
        command += [f"--{name}={value}" for name, value in options.items()]
        command += ["--encapsulation", arguments.encapsulation]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as peers:
            os.sched_setaffinity(peers.pid, {LOAD_CORE})
            answer, _ = peers.communicate()
    if peers.returncode:
        raise SystemExit(f"{contender.name}: the peers ended with {peers.returncode}")
    result: dict[str, float] = json.loads(answer)
    return result


def trouble(results: list[dict[str, float]]) -> str:
    """Why a contender's cost cannot be told, if it cannot."""
    if max(result["cpu"] for result in results) > SATURATED or any(result["waiting"] for result in results):
        return "the server did not keep up"
    if min(result["share"] for result in results) < KEPT_UP:
        return "the peers did not keep up"
    return ""


def report(rounds: dict[str, list[dict[str, float]]], title: str) -> Results:
    """Medians of all rounds, and ratios to both baselines."""
    headings = ["server", "core", "sent", "heard", "µs/frame", "from", "to", "x reader", "x two-way"]
    rows = []
    middle = {name: medians(results) for name, results in rounds.items()}
    baselines = list(rounds)[:2]
    for name, median in middle.items():
        costs = [result["us"] for result in rounds[name]]
        cells = [f"{median['cpu']:.0%}", f"{median['share']:.1%}", f"{median['heard']:.1%}"]
        if not trouble(rounds[name]):
            cells += [f"{cost:.1f}" for cost in (median["us"], min(costs), max(costs))]
            for baseline in baselines:
                told = not trouble(rounds[baseline])
                cells.append(f"{median['us'] / middle[baseline]['us']:.2f}" if told else "")
        rows.append([name, *cells])
    notes = [
        f"{name}: {why}; try fewer --streams" for name, results in rounds.items() if (why := trouble(results))
    ]
    return Results(title, headings, rows, notes)


def in_short(found: Results) -> Results:
    """The short table for the docs: what a frame costs with each server, and the ratios to the baselines."""
    columns = [found.headings.index(heading) for heading in ("µs/frame", "x reader", "x two-way")]
    rows = [[_IN_DOCS[name], *(cells[column - 1] for column in columns)] for name, *cells in found.rows]
    return Results("What a received frame costs", ["", "µs a frame", "× reader", "× two-way"], rows)


def write_docs(root: Path) -> None:
    """Write the short table into the docs, from the table in benchmarks/README.md."""
    section = read_section(root / "benchmarks" / "README.md", "inbound")
    where, found = section.partition("\n")[0], read_table(section, "")
    for page in pages_with("inbound", root):
        write_section(page, "inbound", f"{in_short(found).as_markdown()}\n\n{found.title}. {where}")


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=4.0, help="measured in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--encapsulation", choices=tuple(MESSAGE_BYTES), default="audiosocket")
    parser.add_argument("--only", default="", help="servers whose names hold this, and the baselines")
    parser.add_argument("--write", action="store_true", help="the table into benchmarks/README.md and the docs")
    arguments = parser.parse_args()
    if arguments.write and arguments.only:
        parser.error("--write takes all servers: the table is written as a whole")
    need_two_cores()
    everyone = contenders(arguments.encapsulation)
    chosen = [each for each in everyone if each.options is not None or arguments.only in each.name]
    rounds: dict[str, list[dict[str, float]]] = {each.name: [] for each in chosen}
    console = Console()
    with console.status("measuring"):
        for _ in range(arguments.rounds):
            for contender in chosen:
                rounds[contender.name].append(measure(contender, arguments))
    console.print(describe(), soft_wrap=True)
    per_stream = f"{arguments.encapsulation}, {MESSAGE_BYTES[arguments.encapsulation]} bytes each way every 20 ms"
    title = f"{arguments.streams} streams, {per_stream}; {arguments.rounds} rounds of {arguments.seconds:g} s"
    found = report(rounds, title)
    console.print(found.on_terminal())
    if arguments.write:
        when = datetime.datetime.now(datetime.UTC).date()
        write_section(_README, "inbound", f"{describe()}; {when}.\n\n{found.as_markdown()}")
        write_docs(_README.parent.parent)


if __name__ == "__main__":
    main()
