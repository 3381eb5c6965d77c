"""Sets up structlog for the whole process: JSON lines, or colours on a terminal, always on standard error.

A line is an event with facts as keys. URLs are redacted in all of it, tracebacks too: no line has the user, the
password or the query of a URL.
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

from mediaserver.errors import escape_unprintable, escape_unprintable_lines
from mediaserver.support.credentials import redact_urls

_MULTILINE = ("event", "exception", "stack")  # values that may have line breaks


def _printable(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape control characters: strangers choose paths and names, and could send commands to a terminal."""
    return {
        key: escape_unprintable_lines(value)
        if key in _MULTILINE and isinstance(value, str)
        else _mapped(value, escape_unprintable)
        for key, value in event.items()
    }


def _cut(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Cut long values: strangers choose paths, names and queries, and could fill a disk with one line."""
    return {key: each if key in _WHOLE else _cut_value(each) for key, each in event.items()}


def _cut_value(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_VALUE:
        return f"{value[:MAX_VALUE]}… ({len(value)} characters)"
    if isinstance(value, dict):
        return {_cut_value(key): _cut_value(each) for key, each in value.items()}
    return [_cut_value(each) for each in value] if isinstance(value, list | tuple) else value


def _no_secrets(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Redact URLs in values before these become JSON: JSON's own characters could be taken for part of a URL."""
    return {key: _mapped(value, redact_urls) for key, value in event.items()}


def _mapped(value: Any, how: Callable[[str], str]) -> Any:
    """A value with `how` applied to all texts in it; other objects than numbers, lists and tables become text."""
    if isinstance(value, dict):
        return {_mapped(key, how): _mapped(each, how) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mapped(each, how) for each in value]
    return value if isinstance(value, int | float | None) else how(str(value))


def _no_secrets_in_line(_: Any, __: str, line: str) -> str:
    return redact_urls(line)


def _traceback(file: TextIO, error: Any) -> None:
    """A traceback for a terminal, escaped: an error's message may contain what a stranger wrote."""
    text = io.StringIO()
    plain_traceback(text, error)
    file.write(escape_unprintable_lines(text.getvalue()))


@dataclass(frozen=True)
class _StandardError:
    """Standard error. Where its terminal or pipe is gone, lines are lost, and no error is raised."""

    file: TextIO

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # the stream may be closed
            self.file.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            self.file.flush()


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.processors.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]
MAX_VALUE = 400  # characters of a value; longer ones are cut
_WHOLE = {
    "exc_info",
    "exception",
    "stack",
    "stack_info",
    "_record",
    "_from_structlog",
}  # values that are written by code, not by strangers
# Tracebacks are rendered without the variables of each frame, which may hold a token, or what a caller said.
_TRACEBACKS = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))


def configure(level: str = "info", style: str = "auto") -> None:
    """Log from `level` up; `style` is json, console, or auto: console where standard error is a terminal."""
    error = cast("TextIO", _StandardError(sys.stderr))
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
    stamina.instrumentation.set_on_retry_hooks([])  # its line for each retry says less than our own
    structlog.configure(
        processors=[*_SHARED, *end],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(error),
        cache_logger_on_first_use=False,
    )
    logging.captureWarnings(True)  # Python's warnings, perhaps of a user's handler
    # This logger writes a peer's headers, perhaps with a token, for every call that offers a subprotocol.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
    # Libraries (aiohttp, asyncio) log by the standard library: their lines are formatted in the same way.
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
