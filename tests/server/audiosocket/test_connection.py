"""An AudioSocket connection that breaks or is refused: all that the peer sent before is still received."""

import asyncio
import errno
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web

from mediaserver.call import Session, Stream
from mediaserver.config.listener_settings import ServerSettings
from mediaserver.errors import RefusalReason, RefusedError
from mediaserver.server.audiosocket.connection import AudioSocketConnection
from mediaserver.server.http.connections import Connections
from mediaserver.support.metrics import Metrics
from mediaserver.wire.encapsulation import Carrier, WireSettings
from mediaserver.wire.wire import Wire
from tests.handlers.test_handlers import library_of
from tests.server.plain_peer import HANGUP, SILENCE, UUID_MESSAGE
from tests.transport.fake_transport import FakeTransport
from tests.virtual import VirtualLoop, VirtualStream, in_virtual_time

FRAMES = 100  # eight slices


class FakeAcceptor:
    """Begins the same session on every connection."""

    def __init__(self, session: Session) -> None:
        async def never(request: web.BaseRequest) -> web.StreamResponse:
            raise LookupError

        self.connections, self.session = Connections(never, ServerSettings, Metrics()), session

    def on_connected(self, connection: AudioSocketConnection) -> None:
        pass

    def on_uuid(self, connection: AudioSocketConnection, uuid: UUID) -> None:
        connection.begin(self.session)


def make_audiosocket(loop: VirtualLoop) -> tuple[AudioSocketConnection, FakeTransport, Session, FakeAcceptor]:
    stage, transport = VirtualStream(loop, WireSettings()), FakeTransport()
    wire = Wire(WireSettings(), carrier=Carrier.TCP)
    session = Session(Stream("id", "/", "peer"), wire, library_of(), stage.pacer, loop.time)
    acceptor = FakeAcceptor(session)
    connection = AudioSocketConnection(9000, acceptor)
    connection.connection_made(transport)
    return connection, transport, session, acceptor


@pytest.mark.parametrize(
    ("ends", "reason"),
    [
        (lambda connection: connection.eof_received(), "peer-closed"),
        (lambda connection: connection.connection_lost(None), "peer-vanished"),
        (lambda connection: connection.connection_lost(ConnectionResetError()), "peer-vanished"),
        (lambda connection: connection.connection_lost(OSError(errno.ETIMEDOUT, "")), "unanswered"),
    ],
    ids=["closed", "gone", "reset", "unanswered"],
)
@in_virtual_time
async def test_a_burst_before_the_end_is_received_to_its_last_message(
    ends: Any, reason: str, loop: VirtualLoop
) -> None:
    connection, _, session, acceptor = make_audiosocket(loop)
    connection.data_received(UUID_MESSAGE + FRAMES * SILENCE)
    ends(connection)
    assert session.end is None
    await asyncio.sleep(0.1)
    assert session.receiver.received == FRAMES
    assert session.end is not None
    assert (session.end.reason, session.connected) == (reason, False)
    if reason != "peer-closed":
        assert len(acceptor.connections) == 0
        await connection.close(session.end)  # the connection is gone already
    connection.release()


@in_virtual_time
async def test_a_hang_up_behind_a_burst_is_the_end(loop: VirtualLoop) -> None:
    connection, _, session, _ = make_audiosocket(loop)
    connection.data_received(UUID_MESSAGE + FRAMES * SILENCE + HANGUP)
    connection.connection_lost(None)
    await asyncio.sleep(0.1)
    assert session.receiver.received == FRAMES + 1
    assert session.end is not None
    assert session.end.reason == "peer-hung-up"
    connection.release()


@in_virtual_time
async def test_reading_pauses_while_too_many_bytes_wait(loop: VirtualLoop) -> None:
    connection, transport, session, _ = make_audiosocket(loop)
    wide = b"\x18\x1e\x00" + bytes(7680)
    connection.data_received(UUID_MESSAGE + 30 * wide)
    assert transport.reading
    connection.data_received(wide)
    assert not transport.reading
    await asyncio.sleep(0.1)
    assert transport.reading
    assert session.receiver.received == 31
    connection.release()


@in_virtual_time
async def test_a_peer_without_a_uuid_in_time_is_refused_and_reset(loop: VirtualLoop) -> None:
    connection, transport, session, acceptor = make_audiosocket(loop)
    connection.data_received(UUID_MESSAGE[:10])
    assert list(acceptor.connections.handshaking) == [connection]
    await asyncio.sleep(ServerSettings().handshake_timeout + 0.1)
    assert transport.written == HANGUP
    assert not acceptor.connections.handshaking
    assert list(acceptor.connections.refused) == [connection]
    await asyncio.sleep(5.1)
    assert transport.aborted
    connection.connection_lost(None)
    assert (len(acceptor.connections), len(acceptor.connections.refused)) == (0, 0)
    assert session.end is None


@in_virtual_time
async def test_an_evicted_connection_is_hung_up_and_counted_once(loop: VirtualLoop) -> None:
    connection, transport, _, acceptor = make_audiosocket(loop)
    connection.reject(RefusedError(RefusalReason.DESCRIPTORS, "full"))
    connection.reject(RefusedError(RefusalReason.DESCRIPTORS, "full"))
    assert (transport.written, transport.closing) == (HANGUP, True)
    counted = acceptor.connections.metrics.refused.labels("descriptors", 503)
    assert counted._value.get() == 1
    connection.connection_lost(None)
