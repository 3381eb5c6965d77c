"""The undocumented parts of aiohttp that we use. No other module may use undocumented parts.

Documented means: exported by `aiohttp` or `aiohttp.web`, and described in their reference. The rest may change
with any release, so pyproject.toml bounds the versions, and the tests that are named
there check this module at both bounds.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import aiohttp
from aiohttp import web
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.base_protocol import BaseProtocol
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_websocket import WebSocketReader

__all__ = [
    "HttpProcessingError",
    "HttpProtocol",
    "HttpServer",
    "TracebackFreeConnector",
    "WebSocketDataQueue",
    "WebSocketReader",
    "make_websocket_reader",
    "on_request_read",
    "protocol_of",
    "transport_of",
]

# -- the HTTP server ----------------------------------------------------------------------------------------------


class HttpServer(web.Server):
    """aiohttp's low-level server, which reports each connection that it gains or loses."""

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """aiohttp calls this when a connection is there."""
        super().connection_made(handler, transport)
        self.on_connected(handler)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """aiohttp calls this when a connection is lost, or leaves HTTP by `HttpProtocol.detach`."""
        super().connection_lost(handler, exc)
        self.on_disconnected(handler)

    def on_connected(self, connection: object) -> None:
        """A connection begins to speak HTTP."""

    def on_disconnected(self, connection: object) -> None:
        """A connection speaks HTTP no longer. aiohttp itself forgets it only later."""


class HttpProtocol(web.RequestHandler):
    """The server's side of one HTTP connection. It has to be made in a running event loop.

    `transport` is the connection's, None once it is lost or detached. `options` are those of aiohttp's class:
    time-outs in seconds, sizes in bytes.
    """

    __slots__ = ()

    def __init__(self, server: web.Server, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)

    @property
    def remote_host(self) -> str:
        """The peer's IP address, "?" where it is not known."""
        return str((self.peername or "?")[0])

    def keep_addresses(self) -> None:
        """Have aiohttp look the addresses up now, and keep them: a transport that is closed does not tell them."""
        _ = self.peername, self.sockname, self.ssl_context

    def disconnect(self) -> None:
        """Close the connection as soon as what was written is sent."""
        self.force_close()

    def detach(self, receive: Callable[[bytes], None]) -> None:
        """Leave HTTP, and keep the connection open. To aiohttp it looks as if the peer had left.

        `receive` is given the bytes that came right behind the request.
        """
        self.set_parser(cast("WebSocketReader", _EarlyData(receive)))
        self.transport = None
        super().connection_lost(None)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """aiohttp calls this for a request that it cannot parse (4xx), and where a handler failed (500)."""
        response = self.on_request_error(status, exc)
        return super().handle_error(request, status, exc, message) if response is None else response

    def on_request_error(self, status: int, error: BaseException | None) -> web.StreamResponse | None:
        """The answer to a malformed request, or to one whose handler failed; None for aiohttp's own, which logs
        it.
        """
        return None

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """aiohttp calls this to send an answer."""
        self.on_response_started()
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self.on_response_finished()

    def on_response_started(self) -> None:
        """An answer begins to be sent."""

    def on_response_finished(self) -> None:
        """An answer was sent, or could not be."""


class _EarlyData:
    """Passes on the bytes right behind a handshake. aiohttp takes this object for the parser of a WebSocket."""

    def __init__(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive

    def feed_data(self, data: bytes) -> None:
        """Pass the bytes on. aiohttp would use a result, but reads no more from this connection."""
        self._receive(data)

    def feed_eof(self) -> None:
        """Do nothing: this is the end of the request, not that of the stream."""


def protocol_of(request: web.BaseRequest) -> web.RequestHandler:
    """The connection that a request came by."""
    return request.protocol


def on_request_read(request: web.BaseRequest, callback: Callable[[], None]) -> None:
    """Call back once the whole body of a request is there."""
    request.content.on_eof(callback)


# -- WebSockets ---------------------------------------------------------------------------------------------------


class _ReadFlow:
    """The object that aiohttp's queue pauses when messages are not taken. It refers to a transport alone.

    The stream's protocol in its place would be in a reference cycle, which only a garbage collection frees.
    """

    __slots__ = ("_reading_paused", "_transport")

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._reading_paused = False

    def pause_reading(self) -> None:
        self._reading_paused = True
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._reading_paused = False
        self._transport.resume_reading()


def make_websocket_reader(
    transport: asyncio.Transport, max_message_bytes: int, queue_bytes: int
) -> tuple[WebSocketReader, WebSocketDataQueue]:
    """aiohttp's parser of WebSocket frames (RFC 6455, section 5.2), and the queue to which it gives whole
    messages.

    `transport` is not read from while more than twice `queue_bytes` wait in the queue. No extension is understood.
    """
    queue = WebSocketDataQueue(
        cast("BaseProtocol", _ReadFlow(transport)), queue_bytes, loop=asyncio.get_running_loop()
    )
    return WebSocketReader(queue, max_message_bytes, compress=False, decode_text=True), queue


# -- the HTTP client ----------------------------------------------------------------------------------------------


def transport_of(response: aiohttp.ClientResponse) -> asyncio.Transport:
    """The transport of an answer whose connection is still open, such as that of a WebSocket's handshake."""
    connection = response.connection
    assert connection is not None and connection.transport is not None  # noqa: S101, PT018 - it is open
    return connection.transport


class TracebackFreeConnector(aiohttp.TCPConnector):
    """aiohttp's TCPConnector, but a connection error drops its traceback, and with it the stack frames.

    aiohttp and what it dials with keep the error in those frames. The frames lead to all that waits
    for the connection, such as a stream, which would then be freed by a garbage collection only.
    """

    async def connect(self, *arguments: Any, **options: Any) -> Connection:
        """A connection; OSError where there is none."""
        try:
            return await super().connect(*arguments, **options)
        except OSError as error:
            _drop_tracebacks(error)
            raise


def _drop_tracebacks(error: BaseException) -> None:
    """Drop the tracebacks of an error and of all that led to it."""
    found: list[BaseException | None] = [error]
    seen: set[int] = set()
    while found:
        each = found.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = None
            found += (each.__cause__, each.__context__, getattr(each, "os_error", None))
