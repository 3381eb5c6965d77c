"""Turning down: a plain line for the peer, a count for the operator, and a line of the log while there are few."""

import structlog
from aiohttp import web

from mediaserver.errors import RefusedError
from mediaserver.support.metrics import Metrics
from mediaserver.support.rate_limit import LoggedRarely

REASONS = {
    "bad-query": 400,
    "bad-text": 400,
    "too-long": 400,
    "bad-variable": 400,
    "bad-handshake": 400,
    "malformed": 400,
    "tls": 400,
    "unauthorised": 401,
    "network": 403,
    "signature": 403,
    "expired": 403,
    "unknown-path": 404,
    "unknown-prompt": 404,
    "method": 405,
    "slow-handshake": 408,
    "long-path": 414,
    "not-websocket": 426,
    "too-many-texts": 429,
    "headers": 431,
    "full": 503,
    "path-full": 503,
    "peer-full": 503,
    "busy": 503,
    "descriptors": 503,
    "draining": 503,
}

log = structlog.get_logger()


class Refusals:
    """All that the public listener turns down."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        for reason, status in REASONS.items():  # from 0 on, or a rate would not see the first
            metrics.refused.labels(reason, status)
        self._lines = LoggedRarely()

    def count(self, error: RefusedError, peer: str, path: str | None = None) -> None:
        """Count one, and log it."""
        self._metrics.refused.labels(error.reason, error.status).inc()
        if (unlogged := self._lines.take()) is not None:
            facts = {"status": error.status, "reason": error.reason, "why": error.logged}
            log.info("refused", path=path, peer=peer, **facts, **unlogged)


def response(error: RefusedError) -> web.Response:
    """What the peer is told; the connection is closed after it."""
    headers = {
        401: {"WWW-Authenticate": 'Bearer, Basic realm="media"'},
        405: {"Allow": "GET"},
        400: {"Sec-WebSocket-Version": "13"} if error.reason == "bad-handshake" else {},
        426: {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"},
        503: {"Retry-After": "1"},
    }.get(error.status, {})
    text = " ".join(str(error).split()) + "\n"
    answer = web.Response(status=error.status, text=text, headers={"Server": "mediaserver", **headers})
    answer.force_close()
    return answer


def plain(error: RefusedError) -> bytes:
    """The same as bytes, for a connection that has asked for nothing yet."""
    body = f"{error}\n".encode()
    head = f"HTTP/1.1 {error.status} Refused\r\nContent-Type: text/plain; charset=utf-8\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
