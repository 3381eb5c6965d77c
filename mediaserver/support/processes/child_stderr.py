"""Logs the text that child processes print on standard error, so that it has the format of the log, such as JSON.

The number of logged lines is limited, and all lines are counted. A child that prints without end blocks on its
pipe; the server never waits for a child's text.
"""

import asyncio
import os
import re
from contextlib import suppress
from time import monotonic

import structlog

_GATHER = 0.1  # seconds for which text, such as a traceback, is gathered into one log line
_READ_BYTES = 65_536  # number of bytes that are read at a time: as many as a pipe holds
_SHOWN = 4000  # the most characters of one text that are logged; of a longer text, its end is logged
_LAST_READS = 4  # the most reads after the child's death, as programs that it started may still print
# Seconds of a period, and the most lines logged in each period for all child processes that run one module.
_PERIOD, _LINES = 60.0, 10
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")  # escape sequences for a terminal's colours

counts = {"logged": 0, "dropped": 0}  # number of lines printed by child processes, by whether they were logged
log = structlog.get_logger()
# By the module that child processes run: the start of the module's period, and its log lines in that period.
_logged: dict[str, tuple[float, int]] = {}


class StderrReader:
    """Reads and logs the text of one process. `writer` is the file descriptor for the process's standard error."""

    def __init__(self, module: str) -> None:
        self._process, self._module, self._loop = 0, module, asyncio.get_running_loop()
        self._reader, self.writer = os.pipe()
        os.set_blocking(self._reader, False)
        self._timer: asyncio.TimerHandle | None = None
        self._wait()

    def started(self, process: int) -> None:
        """Close the server's file descriptor `writer` after the start of a child process, which has a copy of it.

        `process` is the child's process id; 0 if no process could be started.
        """
        self._process = process
        os.close(self.writer)

    def close(self) -> None:
        """Log the last text of a process that is dead, and close the pipe. The method may be called again."""
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
        """Wait for `_GATHER` seconds before reading, because more of a text may follow."""
        self._loop.remove_reader(self._reader)
        self._timer = self._loop.call_later(_GATHER, self._on_timer)

    def _on_timer(self) -> None:
        if self._log_available():
            self._wait()
        else:
            self._end()

    def _log_available(self) -> bool:
        """Log the text that can be read from the pipe now; return False if there is none."""
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
            log.warning("process wrote to stderr", module=self._module, pid=self._process, text=shown)

    def _end(self) -> None:
        self._timer = None
        if not self._loop.is_closed():
            self._loop.remove_reader(self._reader)
        os.close(self._reader)
        self._reader = -1


def _may_log(module: str) -> bool:
    """Count one more log line for a module of child processes; False if it has too many in this period."""
    began, lines = _logged.get(module, (0.0, 0))
    now = monotonic()
    if now - began > _PERIOD:
        began, lines = now, 0
    _logged[module] = began, lines + 1
    return lines < _LINES
