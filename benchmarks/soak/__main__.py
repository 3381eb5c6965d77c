"""The soak test: calls come and go, peers misbehave and prompts change for an hour. The server must not degrade.

    .venv/bin/python -m benchmarks.soak [--duration 1h] [--calls 200] [--seed N] [--out soak-report]

A real `mediaserver serve` gets about --calls calls at a time, of many handlers, encapsulations and framings. Of
each call, every received byte, the schedule and the end are verified. Meanwhile hostile peers stall, flood, vanish
and send garbage, prompts are replaced, added, removed and broken, and the configuration is reloaded, sometimes
with mistakes in it.

The test prints tables, and writes a picture and all figures as JSON. Its exit code is 1 if a frame was lost or
wrong, a call failed, a hostile peer was not disconnected, a reload was not taken in, an error is in the log,
memory or open files grew beyond their bounds (in report.py), more than one call in a thousand had a frame over
250 ms late, or the server's exit code was not 0. Linux only.
"""

import argparse
import re
import secrets
from pathlib import Path

import uvloop
from rich.console import Console

from .plot import plot
from .soak import Plan, soak

_UNITS = {"s": 1, "m": 60, "h": 3600}
_WIDTH = 150  # columns of a report that is redirected into a file


def duration(text: str) -> float:
    """The seconds of a duration such as 30s, 10m or 1h. ValueError for any other text."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh])", text)
    if match is None or not float(match[1]):
        raise ValueError(f'"{text}" is no duration such as 30s, 10m or 1h')
    return float(match[1]) * _UNITS[match[2]]


def main() -> int:
    """Run the soak test, print and write its report, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--duration", type=duration, default="1h", help="30s, 10m, 1h")
    parser.add_argument("--calls", type=int, default=200, help="at a time")
    parser.add_argument("--seed", type=int, default=None, help="of all that is left to chance")
    parser.add_argument(
        "--out", type=Path, default=Path("soak-report"), help="a folder for soak.json and soak.png"
    )
    arguments = parser.parse_args()
    seed = secrets.randbelow(1_000_000) if arguments.seed is None else arguments.seed
    console = Console()
    if not console.is_terminal:
        console.width = _WIDTH
    report = uvloop.run(soak(Plan(arguments.duration, arguments.calls, seed), console))
    report.show(console)
    for file in (
        report.write(arguments.out),
        plot(report.history.samples, report.history.warm_up, arguments.out / "soak.png"),
    ):
        console.print(f"wrote {file}", soft_wrap=True, highlight=False)
    return report.exit_code


if __name__ == "__main__":
    raise SystemExit(main())
