"""A live view of a simulated call on a terminal: each action as it begins, the time, the level, and the keys."""

import asyncio
import time
from collections.abc import Sequence

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mediaserver.audio.level import levels
from mediaserver.audio.pcm import SILENCE, from_bytes
from mediaserver.cli.meter import level_bar
from mediaserver.cli.simulation.tables import describe_action
from mediaserver.client.flows.call import Observer
from mediaserver.client.flows.engine import ExecutedAction
from mediaserver.errors import escape_unprintable

_EVERY = 0.1  # the seconds between two drawings of the view
_STALE = 0.1  # the seconds without a new frame after which the level of silence is shown
_KEYS = 40  # the number of keys, the latest ones, that the view shows


class SimulationView:
    """Draws a call while it goes on. `observer` gets the call's actions, keys and frames; `show` draws them."""

    def __init__(self, console: Console) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._began = time.monotonic()
        self._keys = ""
        self._frame, self._at = SILENCE, 0.0
        self.observer = Observer(self._on_action, self._on_key, self._on_frame)

    async def show(self, log: Sequence[ExecutedAction]) -> None:
        """Draw the call until the task is cancelled. The last action of the log is the present one."""
        with self._live:
            while True:
                self._live.update(self._render(log), refresh=True)
                await asyncio.sleep(_EVERY)

    def _on_action(self, entry: ExecutedAction) -> None:
        line = f"{entry.at:7.2f} s  {describe_action(entry)}"
        style = "yellow" if entry.is_problem else ""
        self._live.console.print(Text(escape_unprintable(line), style), soft_wrap=True)

    def _on_key(self, key: str) -> None:
        self._keys = (self._keys + key)[-_KEYS:]

    def _on_frame(self, pcm: bytes, at: float) -> None:
        self._frame, self._at = pcm, at

    def _render(self, log: Sequence[ExecutedAction]) -> Table:
        now = time.monotonic()
        heard = self._frame if now - self._at < _STALE else SILENCE
        level = levels.rms_dbfs(from_bytes(heard))
        current = log[-1] if log else None
        waits = current.action.type if current is not None and current.ended is None else ""
        table = Table.grid(padding=(0, 1))
        table.add_row("time", f"{now - self._began:6.1f} s", Text(escape_unprintable(waits)))
        table.add_row("level", f"{max(level, -99.9):6.1f} dBFS", level_bar(level))
        table.add_row("keys", "", self._keys)
        return table
