"""What a received frame costs: the media server with many two-way streams, beside a bare aiohttp reader.

    .venv/bin/python benchmarks/inbound.py [--streams 300] [--seconds 4] [--rounds 3] [--encapsulation audiosocket]

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

A cost is told only where the peers wrote 99 % of what they had to, and the server kept up with it. Linux only.
"""

import argparse
import contextlib
import json
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
SERVER_CORE, PEERS_CORE = 0, 1
KEPT_UP = 0.99  # share of the messages to be written, below which nothing is told
SATURATED = 0.9  # share of a core from which on messages may lie unread, and cost nothing
MESSAGE_BYTES = {"audiosocket": 323, "rtp": 332}
READY = 30.0  # seconds for a server to listen

CONFIG = """
[server]
host = "127.0.0.1"
port = {port}
drain_timeout = 0.1
[admin]
port = {admin}
[prompts]
directory = "{prompts}"
[log]
level = "error"
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


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until_ready(server: subprocess.Popen[bytes], port: int) -> None:
    """Until a server takes connections; SystemExit where it never does."""
    deadline = time.monotonic() + READY
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        time.sleep(0.05)
    raise SystemExit(f"nobody listens on port {port}")


@contextlib.contextmanager
def serving(contender: Contender, encapsulation: str, folder: Path) -> Iterator[tuple[int, int]]:
    """A contender's process while it serves: its port and its id."""
    port = free_port()
    if contender.options is not None:
        command = [sys.executable, str(HERE / "bare.py"), str(port), *contender.options]
    else:
        values = {"prompts": HERE.parent / "prompts", "recordings": folder, "encapsulation": encapsulation}
        config = folder / "config.toml"
        config.write_text(CONFIG.format(port=port, admin=free_port(), **values), encoding="utf-8")
        command = [sys.executable, "-m", "mediaserver", "serve", "--config", str(config)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            os.sched_setaffinity(server.pid, {SERVER_CORE})  # before it has threads to inherit another
            wait_until_ready(server, port)
            yield port, server.pid
        finally:
            server.kill()


def measure(contender: Contender, arguments: argparse.Namespace) -> dict[str, float]:
    """One round of one contender."""
    with (
        tempfile.TemporaryDirectory() as folder,
        serving(contender, arguments.encapsulation, Path(folder)) as (port, pid),
    ):
        options = {"streams": arguments.streams, "seconds": arguments.seconds}
        command = [sys.executable, str(HERE / "peers.py"), str(port), contender.path, str(pid)]
        command += [f"--{name}={value}" for name, value in options.items()]
        command += ["--encapsulation", arguments.encapsulation]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as peers:
            os.sched_setaffinity(peers.pid, {PEERS_CORE})
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


def report(rounds: dict[str, list[dict[str, float]]], title: str) -> Table:
    """Medians of all rounds, and ratios to both baselines."""
    table = Table(title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("server")
    for heading in ("core", "sent", "heard", "µs/frame", "from", "to", "x reader", "x two-way"):
        table.add_column(heading, justify="right")
    medians = {
        name: {key: statistics.median(result[key] for result in results) for key in results[0]}
        for name, results in rounds.items()
    }
    baselines = list(rounds)[:2]
    for name, median in medians.items():
        costs = [result["us"] for result in rounds[name]]
        cells = [f"{median['cpu']:.0%}", f"{median['share']:.1%}", f"{median['heard']:.1%}"]
        if not trouble(rounds[name]):
            cells += [f"{cost:.1f}" for cost in (median["us"], min(costs), max(costs))]
            for baseline in baselines:
                told = not trouble(rounds[baseline])
                cells.append(f"{median['us'] / medians[baseline]['us']:.2f}" if told else "")
        table.add_row(name, *cells)
    return table


def machine() -> str:
    """What it was measured on."""
    cpus = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = cpus[0].partition(":")[2].strip() if cpus else platform.machine()
    packages = ", ".join(f"{name} {version(name)}" for name in ("mediaserver", "aiohttp", "uvloop", "numpy"))
    return (
        f"{os.cpu_count()} x {model}, Linux {platform.release()}, Python {platform.python_version()}, {packages}"
    )


def main() -> None:
    """Measure, and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=4.0, help="measured in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--encapsulation", choices=tuple(MESSAGE_BYTES), default="audiosocket")
    parser.add_argument("--only", default="", help="servers whose names hold this, and the baselines")
    arguments = parser.parse_args()
    if len(os.sched_getaffinity(0) & {SERVER_CORE, PEERS_CORE}) < 2:
        raise SystemExit("two cores are needed: one for the server, one for the peers")
    everyone = contenders(arguments.encapsulation)
    chosen = [each for each in everyone if each.options is not None or arguments.only in each.name]
    rounds: dict[str, list[dict[str, float]]] = {each.name: [] for each in chosen}
    console = Console()
    with console.status("measuring"):
        for _ in range(arguments.rounds):
            for contender in chosen:
                rounds[contender.name].append(measure(contender, arguments))
    console.print(machine(), soft_wrap=True)
    per_stream = f"{arguments.encapsulation}, {MESSAGE_BYTES[arguments.encapsulation]} bytes each way every 20 ms"
    title = f"{arguments.streams} streams, {per_stream}; {arguments.rounds} rounds of {arguments.seconds:g} s"
    console.print(report(rounds, title))
    for name, results in rounds.items():
        if why := trouble(results):
            console.print(f"{name}: {why}; try fewer --streams")


if __name__ == "__main__":
    main()
