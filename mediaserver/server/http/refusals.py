"""Turning down: a plain line for the peer, a count for the operator, and a line of the log while there are few."""

from typing import NamedTuple

import structlog
from aiohttp import web

from mediaserver.errors import RefusedError
from mediaserver.support.metrics import Metrics
from mediaserver.support.rate_limit import LoggedRarely


class Refusal(NamedTuple):
    """Why a stream is turned down: the HTTP status, and when."""

    status: int
    when: str


# By the reason, as the metric, the log and docs/reference/refusals.md have it.
REFUSALS = {
    "bad-query": Refusal(400, "the query sets what it cannot, has a value that there is not, or too many keys"),
    "bad-text": Refusal(400, "a text cannot be spoken: a value is missing or wrong, or it is empty or too long"),
    "too-long": Refusal(400, "a tone of the URL has more than 20 s in one pass, or more than 64 segments"),
    "bad-variable": Refusal(400, "a variable of the URL would lead a configured URL to another server or path"),
    "bad-handshake": Refusal(400, "the WebSocket handshake is wrong; the line says what"),
    "malformed": Refusal(
        400,
        "the request is no HTTP, or, with AudioSocket, the first message is no UUID; with another version of HTTP"
        " than 1.0 and 1.1 the status is 505",
    ),
    "tls": Refusal(400, "the TLS handshake failed, or there was none; the log says what"),
    "unauthorised": Refusal(401, "the path asks for a token, and there is none, or a wrong one"),
    "network": Refusal(403, "`allow` does not have the peer's network"),
    "signature": Refusal(403, "the link was signed for another URL, or with another token"),
    "expired": Refusal(403, "the time of a signed link is over"),
    "unknown-path": Refusal(404, "no path of the configuration matches the URL"),
    "unknown-prompt": Refusal(404, "there is no such prompt, tone, or other thing that the URL names"),
    "method": Refusal(405, "the request is no GET"),
    "slow-handshake": Refusal(408, "TLS, the request or the UUID took longer than `server.handshake_timeout`"),
    "long-path": Refusal(414, "the path of the URL is longer than 2048 characters, or has more than 64 segments"),
    "not-websocket": Refusal(426, "the request is HTTP, and asks for no WebSocket"),
    "too-many-texts": Refusal(429, "the peer had more texts spoken in a minute than `server.max_texts_per_peer`"),
    "headers": Refusal(431, "the head of the request is larger than `server.max_header_bytes`"),
    "full": Refusal(503, "there are `server.max_streams` streams"),
    "path-full": Refusal(503, "the path has `max_streams` streams"),
    "peer-full": Refusal(503, "the peer's address has `server.max_streams_per_peer` streams"),
    "busy": Refusal(503, "there were more handshakes in this second than `server.handshake_rate`"),
    "descriptors": Refusal(503, "the process has no file descriptors left"),
    "draining": Refusal(503, "the server shuts down"),
}
REASONS = {reason: refusal.status for reason, refusal in REFUSALS.items()}

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
