"""Begins the stream of an AudioSocket connection whose UUID has come, and serves it to its end."""

from collections.abc import Callable

from mediaserver.call import EndReason, Session, Stream
from mediaserver.call.control.peer_control import PeerControl
from mediaserver.handlers.base import Handler
from mediaserver.routing.audiosocket_ports import Port
from mediaserver.runtime import sessions
from mediaserver.runtime.engine import Engine
from mediaserver.server.audiosocket.connection import AudioSocketConnection
from mediaserver.server.http.connections import Connections
from mediaserver.wire.encapsulation import Carrier
from mediaserver.wire.wire import Wire


def begin_stream(
    engine: Engine,
    connections: Connections,
    connection: AudioSocketConnection,
    port: Port,
    stream: Stream,
    handler: Handler,
    control: PeerControl | None = None,
    on_over: Callable[[], None] = lambda: None,
) -> Session:
    """Begin a stream on a connection that has just sent its UUID. `on_over` is called when the stream is over.

    `control` hangs up or transfers the call at the peer; None if the peer takes nothing but audio.
    """
    transport = connection.transport
    assert transport is not None  # noqa: S101 - the connection is open, since its UUID has just come
    session = sessions.open_session(engine, stream, Wire(port.wire, carrier=Carrier.TCP), transport)
    if control is not None:
        session.control = control
    connection.begin(session)  # the session keeps the messages that follow the UUID until its handler runs
    engine.streams.register(session, port.route, connection.peer.limit_key)

    def on_done() -> None:
        engine.streams.unregister(session)
        on_over()

    connections.run_stream(_serve(session, handler, connection), on_done)
    return session


async def _serve(session: Session, handler: Handler, connection: AudioSocketConnection) -> None:
    """Run a stream from the start of its handler to the end of its connection."""
    try:
        sessions.notify_started(session)
        end = await sessions.run_handler(session, handler)
        if end.reason is EndReason.FINISHED:
            await session.drain()
        await connection.close(end)
    finally:
        connection.release()
