"""Wraps the undocumented parts of aiohttp that the server uses. No other module may use undocumented parts.

A part is documented if `aiohttp` or `aiohttp.web` exports it, and aiohttp's reference describes it. Undocumented
parts may change with any release. Therefore pyproject.toml bounds the versions of aiohttp, and the tests that
pyproject.toml names check this module with the lowest and the highest version.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from ssl import CertificateError, SSLContext, SSLError
from typing import Any, cast

import aiohttp
from aiohttp import web
from aiohttp._websocket.helpers import websocket_mask
from aiohttp._websocket.reader import WebSocketDataQueue
from aiohttp.base_protocol import BaseProtocol
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_websocket import WebSocketReader

__all__ = [
    "SERVER_NAME",
    "HttpProcessingError",
    "HttpProtocol",
    "HttpServer",
    "TracebackFreeConnector",
    "WebSocketDataQueue",
    "WebSocketReader",
    "detach_connection",
    "make_websocket_reader",
    "mask_payload",
    "on_request_read",
    "protocol_of",
]

SERVER_NAME = "mediaserver"  # the value of the header `Server`, in place of the versions of aiohttp and Python

# -- the HTTP server ----------------------------------------------------------------------------------------------


class HttpServer(web.Server):
    """aiohttp's low-level HTTP server, extended to call a method when a connection begins or ends."""

    def connection_made(self, handler: web.RequestHandler, transport: asyncio.Transport) -> None:
        """aiohttp calls this when a peer has connected."""
        super().connection_made(handler, transport)
        self.on_connected(handler)

    def connection_lost(self, handler: web.RequestHandler, exc: BaseException | None = None) -> None:
        """aiohttp calls this when a connection is lost, or when `HttpProtocol.detach` takes it out of HTTP."""
        super().connection_lost(handler, exc)
        self.on_disconnected(handler)

    def on_connected(self, connection: object) -> None:
        """Called when a connection begins to speak HTTP; subclasses override it."""

    def on_disconnected(self, connection: object) -> None:
        """Called when a connection no longer speaks HTTP, before aiohttp drops it; subclasses override it."""


class HttpProtocol(web.RequestHandler):
    """The server's side of one HTTP connection. An object must be made while an event loop runs.

    `transport` is the connection's transport, or None once the connection is lost or detached. `options` are the
    options of aiohttp's `RequestHandler`, with time-outs in seconds and sizes in bytes.
    """

    __slots__ = ()

    def __init__(self, server: web.Server, **options: Any) -> None:
        super().__init__(server, loop=asyncio.get_running_loop(), **options)

    @property
    def remote_host(self) -> str:
        """The peer's IP address; "?" if the address is not known."""
        return str((self.peername or "?")[0])

    def keep_addresses(self) -> None:
        """Make aiohttp read the connection's addresses now and keep them, because a closed transport has none."""
        _ = self.peername, self.sockname, self.ssl_context

    def disconnect(self) -> None:
        """Close the connection as soon as all data that was written is sent."""
        self.force_close()

    def detach(self, receive: Callable[[bytes], None]) -> None:
        """End HTTP on the connection, but keep the connection open. aiohttp is told that the connection is lost.

        `receive` is called with bytes that have arrived right after the request.
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
        """aiohttp calls this to answer a request that it cannot parse (4xx), or whose handler has failed (500)."""
        response = self.on_request_error(status, exc) or super().handle_error(request, status, exc, message)
        response.headers["Server"] = SERVER_NAME
        return response

    def on_request_error(self, status: int, error: BaseException | None) -> web.StreamResponse | None:
        """Return the response to a request that is malformed, or whose handler has failed.

        None stands for aiohttp's own response; aiohttp then logs the error.
        """
        return None

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """aiohttp calls this to send a response."""
        self.on_response_started()
        try:
            return await super().finish_response(request, resp, start_time)
        finally:
            self.on_response_finished()

    def on_response_started(self) -> None:
        """Called before a response is sent; subclasses override it."""

    def on_response_finished(self) -> None:
        """Called when a response was sent, or could not be sent; subclasses override it."""


class _EarlyData:
    """Passes on the bytes that arrive right after a handshake.

    The object has the methods of a WebSocket parser, to which aiohttp gives such bytes.
    """

    def __init__(self, receive: Callable[[bytes], None]) -> None:
        self._receive = receive

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Pass the bytes on. Returned is what aiohttp's client takes for "not over, nothing left"."""
        self._receive(data)
        return False, b""

    def feed_eof(self) -> None:
        """Do nothing: aiohttp calls this at the end of the request's body, while the connection stays open."""


def protocol_of(request: web.BaseRequest) -> web.RequestHandler:
    """The connection, as the server's protocol object, from which a request came."""
    return request.protocol


def on_request_read(request: web.BaseRequest, callback: Callable[[], None]) -> None:
    """Call `callback` once the whole body of a request has arrived."""
    request.content.on_eof(callback)


# -- WebSockets ---------------------------------------------------------------------------------------------------


class _ReadFlow:
    """Pauses and resumes reading from a transport, for aiohttp's queue of messages that are not taken fast enough.

    The object refers to the transport alone. If the queue were given the stream's protocol instead, the two would
    be in a reference cycle, which only the garbage collector frees.
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
    """Make aiohttp's parser of WebSocket frames (RFC 6455, section 5.2), and the queue that it puts messages into.

    While more than twice `queue_bytes` wait in the queue, reading from `transport` is paused. WebSocket extensions
    are not supported.
    """
    queue = WebSocketDataQueue(
        cast("BaseProtocol", _ReadFlow(transport)), queue_bytes, loop=asyncio.get_running_loop()
    )
    return WebSocketReader(queue, max_message_bytes, compress=False, decode_text=True), queue


# Masks or unmasks a payload, the second argument, by a key of four bytes (RFC 6455, section 5.3).
mask_payload: Callable[[bytes, bytearray], None] = websocket_mask


# -- the HTTP client ----------------------------------------------------------------------------------------------


def detach_connection(response: aiohttp.ClientResponse, receive: Callable[[bytes], None]) -> asyncio.Transport:
    """Take the connection of a response that switches protocols out of aiohttp; return the connection's transport.

    The connection stays open; aiohttp is told that it is lost. `receive` is called with bytes that have arrived
    right after the response. The transport needs a protocol before the event loop's next turn.
    ServerDisconnectedError if the connection is lost already.
    """
    connection = response.connection
    protocol = connection.protocol if connection is not None else None
    transport = protocol.transport if protocol is not None else None
    if protocol is None or transport is None:
        response.close()
        raise aiohttp.ServerDisconnectedError
    protocol.set_parser(_EarlyData(receive), None)
    protocol.transport = None
    protocol.connection_lost(None)
    response.close()
    return transport


# Begins TLS on a TCP connection, by its transport, what the server has sent so far, a TLS context, the name of the
# server, and a function that makes a protocol. Returns transport and protocol. OSError, as SSLError, if it fails.
BeginTls = Callable[..., Awaitable[tuple[asyncio.Transport, ResponseHandler]]]


class _Keeping(asyncio.Protocol):
    """Keeps what comes."""

    def __init__(self) -> None:
        self.kept = b""

    def data_received(self, data: bytes) -> None:
        self.kept += data


class TracebackFreeConnector(aiohttp.TCPConnector):
    """aiohttp's TCPConnector, whose connection errors carry no traceback, and so no stack frames.

    With a traceback, an error would be in a reference cycle: the stack frames of aiohttp and its dialling library
    hold the error. These frames also refer to the code that waits for the connection, such as a stream, which only
    the garbage collector would free then.

    With `begin_tls`, connections have that TLS in place of the event loop's.
    """

    def __init__(self, *, begin_tls: BeginTls | None = None, **options: Any) -> None:
        super().__init__(**options)
        self._begin_tls = begin_tls

    async def connect(self, *arguments: Any, **options: Any) -> Connection:
        """Return a connection to a server; OSError if no connection can be made."""
        try:
            return await super().connect(*arguments, **options)
        except OSError as error:
            _drop_tracebacks(error)
            raise

    async def _wrap_create_connection(
        self,
        *arguments: Any,
        req: aiohttp.ClientRequest,
        timeout: aiohttp.ClientTimeout,
        ssl: SSLContext | None = None,
        server_hostname: str | None = None,
        **options: Any,
    ) -> tuple[asyncio.Transport, ResponseHandler]:
        """aiohttp calls this to connect to one of several addresses. The errors are those of its own method."""
        connect = partial(super()._wrap_create_connection, req=req, timeout=timeout, **options)
        if self._begin_tls is None or ssl is None or server_hostname is None:
            return await connect(*arguments, ssl=ssl, server_hostname=server_hostname)
        async with asyncio.timeout(timeout.sock_connect):
            transport, early = await connect(_Keeping)
            said = cast("_Keeping", early).kept
            try:
                return await self._begin_tls(transport, said, ssl, server_hostname, *arguments)
            except CertificateError as error:
                raise aiohttp.ClientConnectorCertificateError(req.connection_key, error) from error
            except SSLError as error:
                raise aiohttp.ClientConnectorSSLError(req.connection_key, error) from error
            except OSError as error:
                raise aiohttp.ClientConnectorError(req.connection_key, error) from error


def _drop_tracebacks(error: BaseException) -> None:
    """Drop the tracebacks of an error and of all errors that caused it."""
    found: list[BaseException | None] = [error]
    seen: set[int] = set()
    while found:
        each = found.pop()
        if each is not None and id(each) not in seen:
            seen.add(id(each))
            each.__traceback__ = None
            found += (each.__cause__, each.__context__, getattr(each, "os_error", None))
