"""Shows the progress of a soak test: a live table on a terminal, or else a line every 30 s."""

import asyncio
import time

from rich.console import Console
from rich.live import Live
from rich.table import Table

from .prompts import passed
from .tally import Tally
from .watch import History

_LINE, _PICTURE = 30.0, 0.5  # seconds between two lines, and between two drawings of the table


class Progress:
    """Shows the figures of a soak test so far."""

    def __init__(self, console: Console, tally: Tally, history: History, seconds: float) -> None:
        self._console, self._tally, self._history, self._seconds = console, tally, history, seconds
        self._began = time.monotonic()

    async def show(self, over: asyncio.Event) -> None:
        """Show the figures until `over` is set."""
        if not self._console.is_terminal:
            while not await passed(over, _LINE):
                self._console.print(", ".join(f"{name} {value}" for name, value in self._values().items()))
            return
        with Live(self._picture(), console=self._console, auto_refresh=False, transient=True) as live:
            while not await passed(over, _PICTURE):
                live.update(self._picture(), refresh=True)

    def _values(self) -> dict[str, str]:
        total, samples = self._tally.total, self._history.samples
        elapsed = time.monotonic() - self._began
        return {
            "elapsed": _clock(elapsed),
            "left": _clock(max(0.0, self._seconds - elapsed)),
            "calls now": str(self._tally.now),
            "done": str(total.calls),
            "frames": str(total.frames),
            "lost": str(total.lost + total.wrong),
            "late": f"{total.late_60} (> 60 ms)",
            "memory": f"{samples[-1].rss_mb:.0f} MB" if samples else "…",
        }

    def _picture(self) -> Table:
        table = Table.grid(padding=(0, 2))
        for name, value in self._values().items():
            table.add_row(name, value)
        return table


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
