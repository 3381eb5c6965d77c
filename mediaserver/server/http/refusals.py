"""Refusals on the media ports: each sends the peer a line of text, is counted, and is logged at a limited rate."""

import structlog
from aiohttp import web

from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.support.metrics import Metrics
from mediaserver.support.rate_limit import LogLimiter

# The cases in which the media ports refuse a request, by the reason of the refusal. docs/reference/refusals.md is
# generated from this table.
REFUSALS = {
    RefusalReason.BAD_QUERY: "the query has a key that the path does not take, an invalid value, or too many keys",
    RefusalReason.BAD_TEXT: "a text cannot be spoken: it is empty or too long, or a variable is missing or wrong",
    RefusalReason.TOO_LONG: "a tone of the URL has more than 20 s in one pass, or more than 64 segments",
    RefusalReason.BAD_VARIABLE: "a variable of the URL would lead a configured URL to another server or path",
    RefusalReason.BAD_HANDSHAKE: "the WebSocket handshake is wrong; the answer says how",
    RefusalReason.MALFORMED: (
        "the request is not HTTP/1.0 or HTTP/1.1, or, with AudioSocket, the first message is not a UUID"
    ),
    RefusalReason.TLS: "the TLS handshake failed, or the peer does not speak TLS; the log says why",
    RefusalReason.UNAUTHORISED: "the path asks for a token, and the request has none, or a wrong one",
    RefusalReason.NETWORK: "the peer's address is in no network of `allow`",
    RefusalReason.SIGNATURE: "the link was signed for another URL, or with another token",
    RefusalReason.EXPIRED: "the signed link has expired",
    RefusalReason.UNKNOWN_PATH: "no path of the configuration matches the URL",
    RefusalReason.UNKNOWN_PROMPT: "the URL names a prompt, a tone or something else that does not exist",
    RefusalReason.METHOD: "the request's method is not GET",
    RefusalReason.SLOW_HANDSHAKE: "TLS, the request or the UUID took longer than `server.handshake_timeout`",
    RefusalReason.LONG_PATH: "the path of the URL is longer than 2048 characters, or has more than 64 segments",
    RefusalReason.NOT_WEBSOCKET: "the request is plain HTTP, and does not ask for a WebSocket",
    RefusalReason.TOO_MANY_TEXTS: "the peer had more texts spoken in a minute than `server.max_texts_per_peer`",
    RefusalReason.HEADERS: "the head of the request is larger than `server.max_header_bytes`",
    RefusalReason.FULL: "there are `server.max_streams` streams already",
    RefusalReason.PATH_FULL: "the path has `max_streams` streams already",
    RefusalReason.PEER_FULL: "the peer's address has `server.max_streams_per_peer` streams already",
    RefusalReason.BUSY: "there were more handshakes in this second than `server.handshake_rate`",
    RefusalReason.DESCRIPTORS: "the process has no file descriptors left",
    RefusalReason.DRAINING: "the server is shutting down",
}

log = structlog.get_logger()


class Refusals:
    """Counts and logs the refusals of the media ports."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        for reason in REFUSALS:  # exports a 0 for each reason, because `rate()` ignores a counter's first value
            metrics.refused.labels(reason, reason.status)
        self._log_limiter = LogLimiter()  # scanners cause refusals, whose log lines must not fill the disk

    def record(self, error: RefusedError, peer: str, path: str | None = None) -> None:
        """Count a refusal, and log it unless too many were logged in the last second."""
        self._metrics.refused.labels(error.reason, error.status).inc()
        if (unlogged := self._log_limiter.try_acquire()) is not None:
            facts = {"status": error.status, "reason": error.reason, "why": error.logged}
            log.info("refused", path=path, peer=peer, **facts, **unlogged)


def response(error: RefusedError) -> web.Response:
    """The HTTP answer that tells a peer of a refusal in one line of text. The connection is closed after it."""
    headers = {
        401: {"WWW-Authenticate": 'Bearer, Basic realm="media"'},
        405: {"Allow": "GET"},
        400: {"Sec-WebSocket-Version": "13"} if error.reason is RefusalReason.BAD_HANDSHAKE else {},
        426: {"Upgrade": "websocket", "Sec-WebSocket-Version": "13"},
        503: {"Retry-After": "1"},
    }.get(error.status, {})
    text = " ".join(str(error).split()) + "\n"
    answer = web.Response(status=error.status, text=text, headers={"Server": "mediaserver", **headers})
    answer.force_close()
    return answer


def raw_response(error: RefusedError) -> bytes:
    """The bytes of the HTTP answer that tells a peer of a refusal before it has made its request."""
    body = f"{error}\n".encode()
    head = f"HTTP/1.1 {error.status} Refused\r\nContent-Type: text/plain; charset=utf-8\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
