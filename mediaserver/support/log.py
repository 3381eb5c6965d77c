"""structlog for the whole process: JSON lines, or colours on a terminal, always on standard error.

Events carry their facts as keys. Of a URL, whoever wrote it into a line or a traceback, only what may be shown is
logged: not its user, not its password, not its query.
"""

import contextlib
import io
import logging
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TextIO, cast

import stamina
import structlog
from structlog.dev import plain_traceback
from structlog.tracebacks import ExceptionDictTransformer

from mediaserver.errors import printable, shown_lines
from mediaserver.support.credentials import without_secrets

_LINES = ("event", "exception", "stack")  # of ours; tracebacks have lines, and what strangers wrote


def _printable(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Strangers write paths and names; they shall not write to a terminal."""
    return {
        key: shown_lines(value) if key in _LINES and isinstance(value, str) else _shown(value, printable)
        for key, value in event.items()
    }


def _cut(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Strangers write paths, names and queries, and shall not fill a disk with one line."""
    return {key: each if key in _WHOLE else _cut_value(each) for key, each in event.items()}


def _cut_value(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_VALUE:
        return f"{value[:MAX_VALUE]}… ({len(value)} characters)"
    if isinstance(value, dict):
        return {_cut_value(key): _cut_value(each) for key, each in value.items()}
    return [_cut_value(each) for each in value] if isinstance(value, list | tuple) else value


def _no_secrets(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Before JSON is made of it, whose own signs must stay as they are."""
    return {key: _shown(value, without_secrets) for key, value in event.items()}


def _shown(value: Any, how: Callable[[str], str]) -> Any:
    """A fact, and all that is in it, with its texts as they may be shown; what is no number is told as text."""
    if isinstance(value, dict):
        return {_shown(key, how): _shown(each, how) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown(each, how) for each in value]
    return value if isinstance(value, int | float | None) else how(str(value))


def _no_secrets_in_line(_: Any, __: str, line: str) -> str:
    return without_secrets(line)


def _traceback(file: TextIO, error: Any) -> None:
    """A traceback for a terminal: an error's message may have what a stranger wrote."""
    text = io.StringIO()
    plain_traceback(text, error)
    file.write(shown_lines(text.getvalue()))


@dataclass(frozen=True)
class _Standard:
    """Standard error. Where it is gone, a terminal or a pipe, what is logged is lost, and nothing else."""

    file: TextIO

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # it may be closed
            self.file.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.file.flush()


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
MAX_VALUE = 400  # characters of a fact, beyond which it is cut
_WHOLE = {"exc_info", "exception", "stack", "stack_info", "_record", "_from_structlog"}  # a program's own
# Without the variables of each frame: they may hold a token, and what a caller said.
_TRACEBACKS = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))


def configure(level: str = "info", style: str = "auto") -> None:
    """Log from `level` up; `style` is json, console, or auto: console where standard error is a terminal."""
    error = cast("TextIO", _Standard(sys.stderr))
    console = style == "console" or (style == "auto" and sys.stderr.isatty())
    end: list[Any] = (
        [
            _cut,
            _printable,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=_traceback),
            _no_secrets_in_line,
        ]
        if console
        else [_cut, _TRACEBACKS, _no_secrets, structlog.processors.JSONRenderer()]
    )
    stamina.instrumentation.set_on_retry_hooks([])  # a line for each retry says less than ours do
    structlog.configure(
        processors=[*_SHARED, *end],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(error),
        cache_logger_on_first_use=False,
    )
    logging.captureWarnings(True)  # Python's own, of a user's handler perhaps
    # It tells what a peer's headers hold, a token perhaps, with every call that offers a subprotocol.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
    # Libraries (aiohttp, asyncio) log by the standard library: the same lines, in the same shape.
    handler = logging.StreamHandler(error)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *end],
        )
    )
    logging.basicConfig(
        level=max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]), handlers=[handler], force=True
    )
