"""Replaces defaults of aiohttp's HTTP server that tell strangers its version, or let strangers fill the log."""

import logging

from aiohttp import web

from mediaserver.support.aiohttp_adapter import SERVER_NAME, HttpProcessingError
from mediaserver.support.rate_limit import LogLimiter

_MALFORMED = LogLimiter()


def apply(app: web.Application) -> None:
    """Hide aiohttp's version in an application's responses, and shorten its log lines on malformed requests."""
    logging.getLogger("aiohttp.server").addFilter(_shorten_malformed_request)
    app.on_response_prepare.append(_hide_version)


async def _hide_version(_: web.Request, response: web.StreamResponse) -> None:
    response.headers["Server"] = SERVER_NAME  # aiohttp would name the versions of aiohttp and of Python


def _shorten_malformed_request(record: logging.LogRecord) -> bool:
    """Shorten aiohttp's log line about a malformed request, and leave lines out if there are too many.

    For each malformed request, aiohttp logs a traceback, or quotes headers, which may have a token.
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | web.RequestPayloadError):
        if (unlogged := _MALFORMED.try_acquire()) is None:
            return False
        more = "".join(f", {count} more" for count in unlogged.values())
        record.msg, record.args, record.exc_info = f"malformed request: {type(error).__name__}{more}", (), None
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return True
