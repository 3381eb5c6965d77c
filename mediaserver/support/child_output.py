"""What our child processes print on standard error: lines of our own log, so that all of it is JSON where ours is.

Bounded and counted. A child that prints without an end waits for the pipe, not we for it.
"""

import asyncio
import os
import re
from contextlib import suppress
from time import monotonic

import structlog

_TOGETHER = 0.1  # seconds: what is printed within so long is one line of the log, such as a traceback
_MOST = 65_536  # bytes of it: what a pipe holds
_SHOWN = 4000  # characters of it, its end
_LAST = 4  # times as much, at most, of what is left when the process is over; what it started may still print
_PERIOD, _LINES = 60.0, 10  # so many lines of the log in so many seconds from one kind of process
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # colours

counts = {"logged": 0, "dropped": 0}  # lines that were printed, by what became of them
log = structlog.get_logger()
_told: dict[str, tuple[float, int]] = {}  # by module: when its period began, and the lines of the log since


class Printed:
    """Takes what one process prints, which has `writer` as its standard error."""

    def __init__(self, module: str) -> None:
        self._process, self._module, self._loop = 0, module, asyncio.get_running_loop()
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._gathering: asyncio.TimerHandle | None = None
        self._wait()

    def started(self, process: int) -> None:
        """The process has its end; 0 where there is none."""
        self._process = process
        os.close(self.writer)

    def close(self) -> None:
        """The process is over: log what it printed last. It may be said twice."""
        if self._reader < 0:
            return
        if self._gathering is not None:
            self._gathering.cancel()
        for _ in range(_LAST):
            if not self._gather_once():
                break
        self._end()

    def _wait(self) -> None:
        self._gathering = None
        self._loop.add_reader(self._reader, self._begin)

    def _begin(self) -> None:
        """There is something; more may follow."""
        self._loop.remove_reader(self._reader)
        self._gathering = self._loop.call_later(_TOGETHER, self._gather)

    def _gather(self) -> None:
        if self._gather_once():
            self._wait()
        else:
            self._end()

    def _gather_once(self) -> bool:
        """Log what is there; False where nothing will come any more, or nothing is there yet."""
        data = b""
        with suppress(BlockingIOError):
            data = os.read(self._reader, _MOST)
        if data:
            self._tell(data)
        return bool(data)

    def _tell(self, data: bytes) -> None:
        text = _ESCAPES.sub("", data.decode(errors="replace")).strip()
        if not text:
            return
        allowed = _may_tell(self._module)
        shown = text[-_SHOWN:] if allowed else ""
        logged = len(shown.splitlines())
        counts["logged"] += logged
        counts["dropped"] += len(text.splitlines()) - logged
        if shown:
            log.warning("a process printed", module=self._module, pid=self._process, text=shown)

    def _end(self) -> None:
        self._gathering = None
        if not self._loop.is_closed():
            self._loop.remove_reader(self._reader)
        os.close(self._reader)
        self._reader = -1


def _may_tell(module: str) -> bool:
    began, lines = _told.get(module, (0.0, 0))
    now = monotonic()
    if now - began > _PERIOD:
        began, lines = now, 0
    _told[module] = began, lines + 1
    return lines < _LINES
