"""`python -m tests.fuzz`: rounds of fresh seeds for a while, or one input again."""

import asyncio
import re
import sys
import time
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from tests import conftest  # noqa: F401 - the bundled ffmpeg, where there is no other
from tests.fuzz.catalogue import KINDS, ROUND
from tests.fuzz.kinds import Failure
from tests.fuzz.runner import Round

_SECONDS = {"s": 1, "m": 60, "h": 3600}
_SHOWN = 400  # letters of an input

out = Console()


class Board:
    """A live table of kinds, and each failure once."""

    def __init__(self, live: Live) -> None:
        self._live, self._started = live, time.monotonic()
        self._counts = dict.fromkeys(KINDS, 0)
        self._failures = dict.fromkeys(KINDS, 0)
        self._told: set[str] = set()
        self.wrong = 0

    def progress(self, kind: str, inputs: int, failures: list[Failure]) -> None:
        """So many inputs more of a kind, and what went wrong with them."""
        self._counts[kind] += inputs
        self._failures[kind] += len(failures)
        for failure in failures:
            self.tell(str(failure), failure.sort)
        self._live.update(self._table())

    def tell(self, text: str, what: str) -> None:
        """Print a failure, where nothing like it was printed before."""
        self.wrong += 1
        if what not in self._told:
            self._told.add(what)
            self._live.console.print(text, style="red", markup=False, highlight=False, soft_wrap=True)

    def _table(self) -> Table:
        table = Table("kind")
        for heading in ("inputs", "inputs/s", "failures"):
            table.add_column(heading, justify="right")
        seconds = max(time.monotonic() - self._started, 0.001)
        rows = [*((kind, self._counts[kind], self._failures[kind]) for kind in KINDS)]
        rows.append(("all", sum(self._counts.values()), sum(self._failures.values())))
        for kind, count, failures in rows:
            style = "red" if failures else None
            table.add_row(kind, f"{count:,}", f"{count / seconds:,.0f}", str(failures), style=style)
        return table


def main(
    kind: Annotated[list[str] | None, typer.Option(help=f"Of {', '.join(KINDS)}; default: all.")] = None,
    seed: Annotated[int | None, typer.Option(help="Of the first round; default: the time.")] = None,
    only: Annotated[str, typer.Option(metavar="N[-M]", help="Only these numbers, once.")] = "",
    duration: Annotated[str, typer.Option(metavar="30s|10m|1h", help="How long.")] = "10m",
) -> None:
    """Hostile inputs, each told by its kind, seed and number where something goes wrong."""
    kinds = kind or list(KINDS)
    if unknown := set(kinds) - KINDS.keys():
        _refuse(f"no kind {', '.join(sorted(unknown))}: there are {', '.join(KINDS)}")
    first = int(time.time()) if seed is None else seed
    with Live(console=out, refresh_per_second=4) as live:
        board = Board(live)
        if only:
            numbers = _numbers(only)
            _show(kinds, first, numbers)
            asyncio.run(_round(board, first, dict.fromkeys(kinds, numbers), float("inf")))
        else:
            deadline = time.monotonic() + _seconds(duration)
            while time.monotonic() < deadline:
                asyncio.run(_round(board, first, {name: range(ROUND[name]) for name in kinds}, deadline))
                first += 1
    sys.exit(1 if board.wrong else 0)


async def _round(board: Board, seed: int, plan: dict[str, range], deadline: float) -> None:
    for problem in await Round(seed, plan, board.progress, deadline).run():
        board.tell(f"after the round of seed {seed}: {problem}", problem)


def _show(kinds: list[str], seed: int, numbers: range) -> None:
    """The input itself, where there is one to show."""
    if len(kinds) == len(numbers) == 1:
        text = repr(KINDS[kinds[0]].input(seed, numbers[0]))
        out.print(text[:_SHOWN] + ("…" if len(text) > _SHOWN else ""), markup=False, highlight=False)


def _numbers(text: str) -> range:
    found = re.fullmatch(r"(\d+)(?:-(\d+))?", text)
    if found is None:
        _refuse(f"{text} is neither a number nor two, such as 100-199")
    return range(int(found[1]), int(found[2] or found[1]) + 1)


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+)([smh])", text)
    if found is None:
        _refuse(f"{text} is no duration such as 30s, 10m or 1h")
    return int(found[1]) * _SECONDS[found[2]]


def _refuse(text: str) -> NoReturn:
    raise typer.BadParameter(text)


if __name__ == "__main__":
    typer.run(main)
