"""Connections before their stream: how many there may be, who is evicted, and how long a request may take."""

import asyncio
import resource
from collections.abc import Iterator

import pytest
import structlog
from aiohttp import web

from mediaserver.config.listener_settings import ServerSettings
from mediaserver.errors import RefusedError
from mediaserver.server.http.connections import Connections, HttpConnection
from mediaserver.server.http.descriptors import max_connections, raise_descriptor_limit
from mediaserver.server.http.listener import AddressKeys, Listener
from mediaserver.support.metrics import Metrics
from tests.transport.fake_transport import FakeTransport
from tests.virtual import VirtualLoop, in_virtual_time


async def test_our_own_fault_is_logged_with_where_it_happened() -> None:
    async def break_down(request: web.BaseRequest) -> web.StreamResponse:
        raise LookupError("ours")

    connections = Connections(break_down, ServerSettings, Metrics())
    listener = Listener(connections)
    port = await listener.open("127.0.0.1", 0, AddressKeys("server.host", "server.port"))
    try:
        with structlog.testing.capture_logs() as logged:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n")
            assert (await reader.readline()).split()[1] == b"500"
            writer.close()
            await writer.wait_closed()
        (line,) = [line for line in logged if line["event"] == "request failed"]
        assert line["exc_info"].__traceback__ is not None
    finally:
        await listener.close()
        await connections.shutdown(1)


# -- as many as there are file descriptors for -----------------------------------------------------

MAX_CONNECTIONS, REFUSAL_HEADROOM = 60, 50
RESERVED = 100 + 32  # descriptors for all else, and for the admin port


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """Limit the descriptors of this process to those that are reserved, and `MAX_CONNECTIONS`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_CONNECTIONS + RESERVED, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class FakeConnection:
    """A connection of another port, which keeps why it was rejected."""

    def __init__(self) -> None:
        self.rejections: list[str] = []
        self.aborted = False

    def reject(self, error: RefusedError) -> None:
        self.rejections.append(error.reason)

    def abort(self) -> None:
        self.aborted = True


def make_connections(handshake_timeout: float = 10.0) -> Connections:
    async def never(request: web.BaseRequest) -> web.StreamResponse:
        raise LookupError

    return Connections(never, lambda: ServerSettings(handshake_timeout=handshake_timeout), Metrics())


@pytest.mark.usefixtures("few_descriptors")
@in_virtual_time
async def test_an_accepted_connection_counts_before_it_has_a_transport(loop: VirtualLoop) -> None:
    """asyncio tells nothing of a socket for which it could make no transport: that counts for a while."""
    connections = make_connections()
    for _ in range(MAX_CONNECTIONS + REFUSAL_HEADROOM):
        assert connections.has_room
        connections.on_accepted(object())
    assert not connections.has_room
    await asyncio.sleep(10)
    assert not connections.has_room
    connections.on_accepted(object())
    await asyncio.sleep(0.1)
    assert connections.has_room
    for _ in range(MAX_CONNECTIONS + REFUSAL_HEADROOM - 1):
        assert connections.has_room
        connections.on_accepted(object())
    assert not connections.has_room


@pytest.mark.usefixtures("few_descriptors")
@in_virtual_time
async def test_the_oldest_connection_that_has_not_begun_tls_is_evicted_for_the_newest(loop: VirtualLoop) -> None:
    """Half of the headroom for refusals is for peers before TLS, which can be told only after its handshake."""
    connections, most = make_connections(), MAX_CONNECTIONS + REFUSAL_HEADROOM // 2
    peers = [FakeConnection() for _ in range(most + 2)]
    for peer in peers:
        connections.on_accepted(peer)
        connections.track_awaiting_tls(peer)
    assert [peer.rejections for peer in peers] == [["descriptors"], ["descriptors"], *([[]] * most)]
    assert (len(connections), list(connections.awaiting_tls)) == (most + 2, peers[2:])
    assert connections.has_room
    for peer in peers[:2]:  # their sockets are closed
        connections.untrack(peer)
    assert (len(connections), connections.handshakes_in_progress) == (most, most)


@pytest.mark.usefixtures("few_descriptors")
@in_virtual_time
async def test_the_phase_of_the_handshake_with_the_most_connections_is_evicted_from(loop: VirtualLoop) -> None:
    """Silent peers evict none that has begun TLS, and peers that begin TLS and stop evict no newcomer."""
    connections, most = make_connections(), MAX_CONNECTIONS + REFUSAL_HEADROOM // 2
    peers = [FakeConnection() for _ in range(most)]
    for peer in peers:
        connections.track_awaiting_tls(peer)
    connections.on_tls_started(peers[0])
    connections.track_awaiting_tls(newest := FakeConnection())
    assert (peers[0].rejections, peers[1].rejections) == ([], ["descriptors"])
    connections.untrack(peers[1])
    for peer in peers[2:]:
        connections.on_tls_started(peer)
    connections.track_awaiting_tls(FakeConnection())
    assert (peers[0].rejections, newest.rejections) == (["descriptors"], [])
    assert (list(connections.handshaking), len(connections.awaiting_tls)) == (peers[2:], 2)


@in_virtual_time
async def test_tls_handshakes_are_aborted_at_shutdown(loop: VirtualLoop) -> None:
    connections, peer = make_connections(), FakeConnection()
    connections.track_awaiting_tls(peer)
    await connections.shutdown(1)
    assert peer.aborted


@pytest.mark.usefixtures("few_descriptors")
@in_virtual_time
async def test_a_connection_that_is_made_or_gone_is_not_counted_twice(loop: VirtualLoop) -> None:
    connections, peers = (
        make_connections(),
        [FakeConnection() for _ in range(MAX_CONNECTIONS + REFUSAL_HEADROOM - 1)],
    )
    for peer in peers:
        connections.on_accepted(peer)
    for peer in peers[:MAX_CONNECTIONS]:
        assert connections.track(peer)
    assert len(connections) == MAX_CONNECTIONS
    assert connections.has_room  # for one
    connections.on_accepted(last := FakeConnection())
    assert not connections.has_room
    connections.untrack(last)  # before it was one
    assert connections.has_room
    connections.untrack(peers[0])
    assert len(connections) == MAX_CONNECTIONS - 1
    connections.on_accepted(FakeConnection())
    assert connections.has_room


@pytest.mark.usefixtures("few_descriptors")
@in_virtual_time
async def test_the_oldest_connection_in_its_handshake_is_evicted_first(loop: VirtualLoop) -> None:
    connections, peers = make_connections(), [FakeConnection() for _ in range(MAX_CONNECTIONS)]
    for peer in peers:
        assert connections.track(peer)
    assert not connections.track(FakeConnection())  # all of them have a stream
    connections.handshaking = {peers[3]: None, peers[1]: None}
    assert connections.track(FakeConnection())
    assert [peer.rejections for peer in peers if peer.rejections] == [["descriptors"]]
    assert peers[3].rejections
    assert list(connections.handshaking) == [peers[1]]


@pytest.mark.usefixtures("few_descriptors")
@in_virtual_time
async def test_a_refused_connection_is_evicted_before_one_in_its_handshake(loop: VirtualLoop) -> None:
    connections, peers = make_connections(), [FakeConnection() for _ in range(MAX_CONNECTIONS)]
    for peer in peers:
        connections.track(peer)
    connections.handshaking = {peers[0]: None}
    connections.refused = dict.fromkeys(peers[1:3])
    assert connections.track(FakeConnection())
    assert (peers[0].rejections, peers[1].rejections, peers[2].rejections) == ([], ["descriptors"], [])
    assert list(connections.refused) == [peers[2]]
    connections.untrack(peers[2])
    assert not connections.refused


@in_virtual_time
async def test_connections_and_streams_are_ended_at_shutdown(loop: VirtualLoop) -> None:
    connections, peer, done = make_connections(), FakeConnection(), []
    connections.track(peer)
    connections.run_stream(asyncio.sleep(1000), lambda: done.append("stream"))
    await asyncio.sleep(0)
    await connections.shutdown(1)
    assert (peer.aborted, done) == (True, ["stream"])


@in_virtual_time
async def test_handshakes_in_progress_are_awaited_until_a_timeout(loop: VirtualLoop) -> None:
    connections = make_connections()
    await connections.wait_for_handshakes(1.0)
    assert loop.time() == 0.0
    connections.handshaking[FakeConnection()] = None
    await connections.wait_for_handshakes(1.0)
    assert loop.time() == pytest.approx(1.0)
    loop.call_later(0.2, connections.handshaking.clear)
    await connections.wait_for_handshakes(1.0)
    assert loop.time() == pytest.approx(1.2, abs=0.01)
    connections.on_accepted(accepted := FakeConnection())
    loop.call_later(0.2, connections.untrack, accepted)
    await connections.wait_for_handshakes(1.0)
    assert loop.time() == pytest.approx(1.4, abs=0.02)


@pytest.mark.usefixtures("few_descriptors")
def test_how_many_connections_the_descriptors_are_enough_for() -> None:
    assert max_connections() == MAX_CONNECTIONS
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (RESERVED, hard))
    assert max_connections() == 1  # at least one, whose peer is told why
    raise_descriptor_limit(50)
    wanted = 50 + RESERVED + 900
    raised, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert raised == (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard))
    raise_descriptor_limit(1)  # never fewer
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == raised


# -- one connection, before its request ------------------------------------------------------------


class RequestingPeer:
    """The peer of a connection that was accepted."""

    def __init__(self, connections: Connections) -> None:
        self.connections, self.transport = connections, FakeTransport()
        self.connection: HttpConnection = connections()
        self.connection.connection_made(self.transport)

    def status(self) -> bytes:
        """The HTTP status that the peer was sent."""
        return self.transport.written.partition(b" ")[2][:3]

    def refusal_count(self, reason: str, status: int) -> float:
        return self.connections.metrics.refused.labels(reason, status)._value.get()

    def fault_count(self, kind: str) -> float:
        return self.connections.metrics.peer_faults.labels(kind)._value.get()


@in_virtual_time
async def test_a_request_that_takes_too_long_is_refused_with_408(loop: VirtualLoop) -> None:
    requesting = RequestingPeer(make_connections(2.0))
    assert list(requesting.connections.handshaking) == [requesting.connection]
    requesting.connection.data_received(b"GET / HTTP/1.1\r\n")
    await asyncio.sleep(1.9)
    assert (requesting.status(), len(requesting.connections)) == (b"", 1)
    await asyncio.sleep(0.2)
    assert (requesting.status(), requesting.transport.closing) == (b"408", True)
    assert (requesting.refusal_count("slow-handshake", 408), requesting.fault_count("slow-handshake")) == (1, 1)
    assert not requesting.connections.handshaking
    requesting.connection.connection_lost(None)
    assert len(requesting.connections) == 0


@in_virtual_time
async def test_a_peer_that_leaves_before_its_request_is_forgotten(loop: VirtualLoop) -> None:
    requesting = RequestingPeer(make_connections(2.0))
    await asyncio.sleep(0)
    requesting.connection.connection_lost(None)
    assert (len(requesting.connections), len(requesting.connections.handshaking)) == (0, 0)
    await asyncio.sleep(3)
    assert (requesting.status(), requesting.refusal_count("slow-handshake", 408)) == (b"", 0)


@pytest.mark.parametrize("piece", [100, 100_000])
@in_virtual_time
async def test_the_size_of_a_head_is_limited_whatever_its_pieces(loop: VirtualLoop, piece: int) -> None:
    requesting = RequestingPeer(make_connections())
    await asyncio.sleep(0)
    most = ServerSettings().max_header_bytes
    head = b"GET / HTTP/1.1\r\n" + b"X-Some: header\r\n" * (most // 16 + 1)
    for at in range(0, most - 1, piece):
        requesting.connection.data_received(head[: most - 1][at : at + piece])
        assert requesting.status() == b""
    requesting.connection.data_received(head[most - 1 : most])
    assert (requesting.status(), requesting.transport.closing) == (b"431", True)
    assert requesting.refusal_count("headers", 431) == 1
    await asyncio.sleep(0)
    requesting.connection.connection_lost(None)


@pytest.mark.usefixtures("few_descriptors")
@in_virtual_time
async def test_a_connection_without_room_is_refused_with_503(loop: VirtualLoop) -> None:
    connections = make_connections()
    for _ in range(MAX_CONNECTIONS):
        connections.track(FakeConnection())
    requesting = RequestingPeer(connections)
    assert (requesting.status(), requesting.transport.closing) == (b"503", True)
    assert requesting.refusal_count("descriptors", 503) == 1
    assert (len(connections), len(connections.handshaking)) == (MAX_CONNECTIONS, 0)
