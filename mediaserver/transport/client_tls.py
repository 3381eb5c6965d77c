"""TLS of the connections that this server dials, by the same transport as that of the connections it accepts."""

import asyncio
import ssl
from collections.abc import Callable
from typing import TypeVar

from mediaserver.transport.held_writes import HeldWrites
from mediaserver.transport.tls_transport import TlsTransport, connection_reset

AnyProtocol = TypeVar("AnyProtocol", bound=asyncio.Protocol)


async def begin_tls(
    transport: asyncio.Transport,
    early: bytes,
    context: ssl.SSLContext,
    server_hostname: str,
    make_protocol: Callable[[], AnyProtocol],
    *,
    writes: HeldWrites,
) -> tuple[asyncio.Transport, AnyProtocol]:
    """Begin TLS as a client on a TCP connection; return the transport and the protocol that then use it.

    `early` is what the server has sent so far. One that speaks first speaks no TLS, which the error then tells.
    SSLError if the handshake fails, ConnectionResetError if the connection is lost before its end. If this is
    cancelled, the connection is closed. `context` is changed to refuse renegotiation, as `TlsTransport` requires.
    """
    shaken: asyncio.Future[AnyProtocol] = asyncio.get_running_loop().create_future()

    def on_handshake(tls: TlsTransport, error: OSError | None) -> None:
        if shaken.done():  # it was cancelled
            return
        if error is not None:
            shaken.set_exception(error)
            return
        # What the peer says first may have come together with the end of the handshake.
        protocol = make_protocol()
        tls.set_protocol(protocol)
        protocol.connection_made(tls)
        shaken.set_result(protocol)

    try:
        if transport.is_closing():
            raise connection_reset()
        context.options |= ssl.OP_NO_RENEGOTIATION
        tls = TlsTransport(transport, context, on_handshake, writes, server_hostname=server_hostname)
        if early:
            tls.data_received(early)
        return tls, await shaken
    except BaseException:
        if not transport.is_closing():  # where the handshake has failed, it closes once the server is told why
            transport.abort()
        raise
