"""Logs what child processes print on standard error, so that all of it is JSON where the log is JSON.

The lines are bounded and counted. A child that prints without end blocks on its pipe; the server never waits for
it.
"""

import asyncio
import os
import re
from contextlib import suppress
from time import monotonic

import structlog

_GATHER = 0.1  # seconds; all text printed within them, such as a traceback, is one line of the log
_READ_BYTES = 65_536  # as much as a pipe holds
_SHOWN = 4000  # of a longer text, only so many characters at its end are logged
_LAST_READS = 4  # once the process is dead, we read at most so often: programs that it started may still print
_PERIOD, _LINES = 60.0, 10  # seconds, and the log lines that one module may cause in them
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # colours

counts = {"logged": 0, "dropped": 0}  # printed lines, by what became of them
log = structlog.get_logger()
_logged: dict[str, tuple[float, int]] = {}  # by module: when its period began, and the lines logged since


class StderrReader:
    """Reads what one process prints. `writer` is the file descriptor for the process's standard error."""

    def __init__(self, module: str) -> None:
        self._process, self._module, self._loop = 0, module, asyncio.get_running_loop()
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._timer: asyncio.TimerHandle | None = None
        self._wait()

    def started(self, process: int) -> None:
        """Close our copy of `writer`, once the process has it; `process` is its id, 0 where none was started."""
        self._process = process
        os.close(self.writer)

    def close(self) -> None:
        """Log what the process printed last, once it is dead. May be called again."""
        if self._reader < 0:
            return
        if self._timer is not None:
            self._timer.cancel()
        for _ in range(_LAST_READS):
            if not self._log_available():
                break
        self._end()

    def _wait(self) -> None:
        self._timer = None
        self._loop.add_reader(self._reader, self._on_readable)

    def _on_readable(self) -> None:
        """Wait a moment before reading: more of the same text may follow."""
        self._loop.remove_reader(self._reader)
        self._timer = self._loop.call_later(_GATHER, self._on_timer)

    def _on_timer(self) -> None:
        if self._log_available():
            self._wait()
        else:
            self._end()

    def _log_available(self) -> bool:
        """Log what can be read; False where there is nothing to read, for now or for ever."""
        data = b""
        with suppress(BlockingIOError):
            data = os.read(self._reader, _READ_BYTES)
        if data:
            self._log(data)
        return bool(data)

    def _log(self, data: bytes) -> None:
        text = _ESCAPES.sub("", data.decode(errors="replace")).strip()
        if not text:
            return
        shown = text[-_SHOWN:] if _may_log(self._module) else ""
        logged = len(shown.splitlines())
        counts["logged"] += logged
        counts["dropped"] += len(text.splitlines()) - logged
        if shown:
            log.warning("a process printed", module=self._module, pid=self._process, text=shown)

    def _end(self) -> None:
        self._timer = None
        if not self._loop.is_closed():
            self._loop.remove_reader(self._reader)
        os.close(self._reader)
        self._reader = -1


def _may_log(module: str) -> bool:
    """Count one more line for a module; False where it has had too many in the current period."""
    began, lines = _logged.get(module, (0.0, 0))
    now = monotonic()
    if now - began > _PERIOD:
        began, lines = now, 0
    _logged[module] = began, lines + 1
    return lines < _LINES
