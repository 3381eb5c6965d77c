"""Sets up the log of the whole process by structlog, on standard error: as JSON lines, or coloured for a terminal.

A log line has an event's text, and facts with their keys. The user, the password and the query are removed from
all URLs in a line, even in tracebacks.
"""

import contextlib
import io
import logging
import sys
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TextIO, cast

import stamina
import structlog
from structlog.dev import plain_traceback
from structlog.tracebacks import ExceptionDictTransformer

from mediaserver.errors import escape_unprintable, escape_unprintable_lines
from mediaserver.support.credentials import redact_urls

# The id of the stream whose handler runs in the present task, or has started the present task; "" for none.
HANDLED_STREAM: ContextVar[str] = ContextVar("handled_stream", default="")
_MULTILINE = ("event", "exception", "stack")  # keys of a log line whose values may have line breaks


def _printable(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Escape control characters in a log line: strangers choose some values, and might control a terminal."""
    return {
        key: escape_unprintable_lines(value)
        if key in _MULTILINE and isinstance(value, str)
        else _mapped(value, escape_unprintable)
        for key, value in event.items()
    }


def _cut(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Cut long values of a log line, because strangers choose some values and might fill the disk with them."""
    return {key: each if key in _WHOLE else _cut_value(each) for key, each in event.items()}


def _cut_value(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_VALUE:
        return f"{value[:MAX_VALUE]}… ({len(value)} characters)"
    if isinstance(value, dict):
        return {_cut_value(key): _cut_value(each) for key, each in value.items()}
    return [_cut_value(each) for each in value] if isinstance(value, list | tuple) else value


def _no_secrets(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Redact URLs in values before they become JSON, whose own characters might be taken for part of a URL."""
    return {key: _mapped(value, redact_urls) for key, value in event.items()}


def _with_origin(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Name, in a line of Python's `logging`, the logger and the stream whose handler has logged it."""
    origin = {"logger": event["_record"].name, "stream": HANDLED_STREAM.get()}
    return {**{key: value for key, value in origin.items() if value}, **event}


def _mapped(value: Any, how: Callable[[str], str]) -> Any:
    """Return a value with the function `how` applied to all texts in it.

    Objects other than numbers, None, lists, sets and dictionaries are turned into text first.
    """
    if isinstance(value, dict):
        return {_mapped(key, how): _mapped(each, how) for key, each in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mapped(each, how) for each in value]
    return value if isinstance(value, int | float | None) else how(str(value))


def _no_secrets_in_line(_: Any, __: str, line: str) -> str:
    return redact_urls(line)


def _traceback(file: TextIO, error: Any) -> None:
    """Write a traceback with control characters escaped, because its message may have text of a stranger."""
    text = io.StringIO()
    plain_traceback(text, error)
    file.write(escape_unprintable_lines(text.getvalue()))


@dataclass(frozen=True)
class _StandardError:
    """Writes to standard error. If its terminal or pipe is gone, lines are lost, but no error is raised."""

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
MAX_VALUE = 400  # the most characters of a value in a log line; longer values are cut
# Keys of a log line whose values are never cut, because no stranger chooses them.
_WHOLE = {"exc_info", "exception", "stack", "stack_info", "_record", "_from_structlog"}
# Tracebacks are logged without the variables of their stack frames, which may hold a token or a caller's words.
_TRACEBACKS = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))


def configure(level: str = "info", style: str = "auto") -> None:
    """Set up the log, for lines from `level` up.

    `style` is "json", "console", or "auto": then it is "console" if standard error is a terminal, else "json".
    """
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
    stamina.instrumentation.set_on_retry_hooks([])  # stamina logs no retries, because our own log lines say more
    structlog.configure(
        processors=[*_SHARED, *end],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.PrintLoggerFactory(error),
        cache_logger_on_first_use=False,
    )
    logging.captureWarnings(True)  # log Python's warnings, which may come from a user's handler
    # If a peer offers a subprotocol, this logger would log the peer's headers, perhaps with a token.
    logging.getLogger("aiohttp.websocket").setLevel(logging.ERROR)
    # Libraries such as aiohttp and asyncio log by Python's `logging`: format their lines like those of structlog.
    handler = logging.StreamHandler(error)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*_SHARED, _with_origin],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *end],
        )
    )
    logging.basicConfig(
        level=max(logging.WARNING, logging.getLevelNamesMapping()[level.upper()]), handlers=[handler], force=True
    )
