"""A live meter on a terminal: the level and the jitter of received audio."""

import contextlib
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mediaserver.audio.level import levels
from mediaserver.audio.pcm import FRAMES_PER_SECOND, PTIME, from_bytes
from mediaserver.client.simulator import OnFrame

_WIDTH = 40  # the width of a full bar in characters
_FLOOR_DBFS = -60.0  # the level in dBFS at which the bar is empty
_EVERY = 5  # the number of received frames from one drawing of the meter to the next


class Meter:
    """Draws the level and the jitter of received frames, ten times a second."""

    def __init__(self, console: Console, url: str) -> None:
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._url = url
        self._frames = 0
        self._recent: deque[float] = deque(maxlen=FRAMES_PER_SECOND)
        self._last: float | None = None

    def __enter__(self) -> Self:
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def on_frame(self, pcm: bytes, at: float) -> None:
        """Note one received frame of PCM (16 bit, 8 kHz, as bytes); `at` is its time of arrival in seconds."""
        self._frames += 1
        if self._last is not None:
            self._recent.append(abs(at - self._last - PTIME))
        self._last = at
        if self._frames % _EVERY == 0:
            self._live.update(self._render(pcm), refresh=True)

    def _render(self, pcm: bytes) -> Table:
        level = levels.rms_dbfs(from_bytes(pcm))
        jitter = max(self._recent, default=0.0) * 1000
        table = Table.grid(padding=(0, 1))
        table.add_row("time", f"{self._frames / FRAMES_PER_SECOND:6.1f} s", self._url)
        table.add_row("level", f"{max(level, -99.9):6.1f} dBFS", level_bar(level))
        table.add_row("jitter", f"{jitter:6.2f} ms, worst of 1 s", bar(jitter / (PTIME * 1000), "yellow"))
        return table


def level_bar(dbfs: float) -> Text:
    """A text bar whose length shows a level in dBFS."""
    return bar(1 - dbfs / _FLOOR_DBFS, "green")


def bar(share: float, colour: str) -> Text:
    """A text bar that is filled to a fraction of 0 to 1."""
    filled = round(min(max(share, 0.0), 1.0) * _WIDTH)
    return Text("█" * filled, style=colour) + Text("·" * (_WIDTH - filled), style="dim")


@contextlib.contextmanager
def draw_meter(console: Console | None, shown: str) -> Iterator[OnFrame | None]:
    """Yield a function that draws a meter, to be called with each received frame; None without a terminal."""
    if console is None or not console.is_terminal:
        yield None
        return
    with Meter(console, shown) as meter:
        yield meter.on_frame
