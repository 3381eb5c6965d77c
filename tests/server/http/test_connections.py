"""Connections that have yet to say what they want."""

import asyncio
import resource
from collections.abc import Iterator

import pytest
import structlog
from aiohttp import web

from mediaserver.config.listener_settings import ServerSettings
from mediaserver.errors import RefusedError
from mediaserver.server.http.connections import Connection, Connections
from mediaserver.server.http.descriptors import most_connections, raise_descriptor_limit
from mediaserver.server.http.listener import Keys, Listener
from mediaserver.support.metrics import Metrics
from tests.transport.test_upgraded import Pipe
from tests.virtual import VirtualLoop, in_virtual_time


async def test_our_own_fault_is_logged_with_where_it_happened() -> None:
    async def break_down(request: web.BaseRequest) -> web.StreamResponse:
        raise LookupError("ours")

    connections = Connections(break_down, ServerSettings, Metrics())
    listener = Listener(connections)
    port = await listener.open("127.0.0.1", 0, Keys("server.host", "server.port"))
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


# -- as many as there are descriptors for ----------------------------------------------------------

MOST, TO_BE_REFUSED = 60, 50
KEPT = 100 + 32  # for all else, and for the admin port


@pytest.fixture
def few_descriptors() -> Iterator[None]:
    """The system grants this process no more than are enough for so many connections, and some for all else."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (MOST + KEPT, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Peer:
    """A connection of another port, which is told when it has to go."""

    def __init__(self) -> None:
        self.turned_away: list[str] = []
        self.aborted = False

    def turn_away(self, error: RefusedError) -> None:
        self.turned_away.append(error.reason)

    def abort(self) -> None:
        self.aborted = True


def connections_of(handshake_timeout: float = 10.0) -> Connections:
    async def never(request: web.BaseRequest) -> web.StreamResponse:
        raise LookupError

    return Connections(never, lambda: ServerSettings(handshake_timeout=handshake_timeout), Metrics())


@pytest.mark.usefixtures("few_descriptors")
@in_virtual_time
async def test_who_is_accepted_counts_against_the_descriptors(loop: VirtualLoop) -> None:
    """Where no transport can be made of the socket, nobody is told; it counts for a while."""
    connections = connections_of()
    for _ in range(MOST + TO_BE_REFUSED):
        assert connections.has_room
        connections.expect(object())
    assert not connections.has_room
    await asyncio.sleep(10)
    assert not connections.has_room
    connections.expect(object())
    await asyncio.sleep(0.1)
    assert connections.has_room
    for _ in range(MOST + TO_BE_REFUSED - 1):
        assert connections.has_room
        connections.expect(object())
    assert not connections.has_room


@pytest.mark.usefixtures("few_descriptors")
@in_virtual_time
async def test_the_oldest_that_says_nothing_gives_way_to_the_newest(loop: VirtualLoop) -> None:
    """Half of those that are to be refused may be there without TLS: only by TLS can they be told."""
    connections, most = connections_of(), MOST + TO_BE_REFUSED // 2
    peers = [Peer() for _ in range(most + 2)]
    for peer in peers:
        connections.expect(peer)
        connections.joined_silent(peer)
    assert [peer.turned_away for peer in peers] == [["descriptors"], ["descriptors"], *([[]] * most)]
    assert (len(connections), list(connections.silent)) == (most + 2, peers[2:])
    assert connections.has_room
    for peer in peers[:2]:  # their sockets are closed
        connections.left(peer)
    assert (len(connections), connections.unfinished) == (most, most)


@pytest.mark.usefixtures("few_descriptors")
@in_virtual_time
async def test_of_handshakes_the_kind_gives_way_that_there_are_more_of(loop: VirtualLoop) -> None:
    """Those that say nothing end none that has begun, and those that begin and go no further none that comes."""
    connections, most = connections_of(), MOST + TO_BE_REFUSED // 2
    peers = [Peer() for _ in range(most)]
    for peer in peers:
        connections.joined_silent(peer)
    connections.securing(peers[0])
    connections.joined_silent(newest := Peer())
    assert (peers[0].turned_away, peers[1].turned_away) == ([], ["descriptors"])
    connections.left(peers[1])
    for peer in peers[2:]:
        connections.securing(peer)
    connections.joined_silent(Peer())
    assert (peers[0].turned_away, newest.turned_away) == (["descriptors"], [])
    assert (list(connections.pending), len(connections.silent)) == (peers[2:], 2)


@in_virtual_time
async def test_handshakes_of_tls_are_let_go_of_at_the_end(loop: VirtualLoop) -> None:
    connections, peer = connections_of(), Peer()
    connections.joined_silent(peer)
    await connections.shutdown(1)
    assert peer.aborted


@pytest.mark.usefixtures("few_descriptors")
@in_virtual_time
async def test_a_connection_that_is_made_or_gone_is_not_counted_twice(loop: VirtualLoop) -> None:
    connections, peers = connections_of(), [Peer() for _ in range(MOST + TO_BE_REFUSED - 1)]
    for peer in peers:
        connections.expect(peer)
    for peer in peers[:MOST]:
        assert connections.joined(peer)
    assert len(connections) == MOST
    assert connections.has_room  # for one
    connections.expect(last := Peer())
    assert not connections.has_room
    connections.left(last)  # before it was one
    assert connections.has_room
    connections.left(peers[0])
    assert len(connections) == MOST - 1
    connections.expect(Peer())
    assert connections.has_room


@pytest.mark.usefixtures("few_descriptors")
@in_virtual_time
async def test_who_has_not_asked_yet_makes_room_the_oldest_first(loop: VirtualLoop) -> None:
    connections, peers = connections_of(), [Peer() for _ in range(MOST)]
    for peer in peers:
        assert connections.joined(peer)
    assert not connections.joined(Peer())  # all of them have a stream
    connections.pending = {peers[3]: None, peers[1]: None}
    assert connections.joined(Peer())
    assert [peer.turned_away for peer in peers if peer.turned_away] == [["descriptors"]]
    assert peers[3].turned_away
    assert list(connections.pending) == [peers[1]]


@pytest.mark.usefixtures("few_descriptors")
@in_virtual_time
async def test_who_is_refused_and_does_not_go_makes_room_first(loop: VirtualLoop) -> None:
    connections, peers = connections_of(), [Peer() for _ in range(MOST)]
    for peer in peers:
        connections.joined(peer)
    connections.pending = {peers[0]: None}
    connections.leaving = dict.fromkeys(peers[1:3])
    assert connections.joined(Peer())
    assert (peers[0].turned_away, peers[1].turned_away, peers[2].turned_away) == ([], ["descriptors"], [])
    assert list(connections.leaving) == [peers[2]]
    connections.left(peers[2])
    assert not connections.leaving


@in_virtual_time
async def test_all_are_let_go_of_at_the_end(loop: VirtualLoop) -> None:
    connections, peer, over = connections_of(), Peer(), []
    connections.joined(peer)
    connections.spawn(asyncio.sleep(1000), lambda: over.append("stream"))
    await asyncio.sleep(0)
    await connections.shutdown(1)
    assert (peer.aborted, over) == (True, ["stream"])


@in_virtual_time
async def test_handshakes_under_way_are_waited_for_for_so_long(loop: VirtualLoop) -> None:
    connections = connections_of()
    await connections.wait_for_handshakes(1.0)
    assert loop.time() == 0.0
    connections.pending[Peer()] = None
    await connections.wait_for_handshakes(1.0)
    assert loop.time() == pytest.approx(1.0)
    loop.call_later(0.2, connections.pending.clear)
    await connections.wait_for_handshakes(1.0)
    assert loop.time() == pytest.approx(1.2, abs=0.01)
    connections.expect(accepted := Peer())
    loop.call_later(0.2, connections.left, accepted)
    await connections.wait_for_handshakes(1.0)
    assert loop.time() == pytest.approx(1.4, abs=0.02)


@pytest.mark.usefixtures("few_descriptors")
def test_how_many_connections_the_descriptors_are_enough_for() -> None:
    assert most_connections() == MOST
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (KEPT, hard))
    assert most_connections() == 1  # or nobody would be told why
    raise_descriptor_limit(50)
    wanted = 50 + KEPT + 900
    raised, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert raised == (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard))
    raise_descriptor_limit(1)  # never fewer
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == raised


# -- one that has yet to ask -----------------------------------------------------------------------


class Asking:
    """A connection that has been accepted."""

    def __init__(self, connections: Connections) -> None:
        self.connections, self.pipe = connections, Pipe()
        self.connection: Connection = connections()
        self.connection.connection_made(self.pipe)

    def said(self) -> bytes:
        """The status that it was told."""
        return self.pipe.written.partition(b" ")[2][:3]

    def refused(self, reason: str, status: int) -> float:
        return self.connections.metrics.refused.labels(reason, status)._value.get()

    def faults(self, kind: str) -> float:
        return self.connections.metrics.peer_faults.labels(kind)._value.get()


@in_virtual_time
async def test_who_has_not_asked_in_time_is_told_so(loop: VirtualLoop) -> None:
    asking = Asking(connections_of(2.0))
    assert list(asking.connections.pending) == [asking.connection]
    asking.connection.data_received(b"GET / HTTP/1.1\r\n")
    await asyncio.sleep(1.9)
    assert (asking.said(), len(asking.connections)) == (b"", 1)
    await asyncio.sleep(0.2)
    assert (asking.said(), asking.pipe.closing) == (b"408", True)
    assert (asking.refused("slow-handshake", 408), asking.faults("slow-handshake")) == (1, 1)
    assert not asking.connections.pending
    asking.connection.connection_lost(None)
    assert len(asking.connections) == 0


@in_virtual_time
async def test_who_leaves_before_it_has_asked_is_forgotten(loop: VirtualLoop) -> None:
    asking = Asking(connections_of(2.0))
    await asyncio.sleep(0)
    asking.connection.connection_lost(None)
    assert (len(asking.connections), len(asking.connections.pending)) == (0, 0)
    await asyncio.sleep(3)
    assert (asking.said(), asking.refused("slow-handshake", 408)) == (b"", 0)


@pytest.mark.parametrize("piece", [100, 100_000])
@in_virtual_time
async def test_a_head_has_an_end_however_it_comes(loop: VirtualLoop, piece: int) -> None:
    asking = Asking(connections_of())
    await asyncio.sleep(0)
    most = ServerSettings().max_header_bytes
    head = b"GET / HTTP/1.1\r\n" + b"X-Some: header\r\n" * (most // 16 + 1)
    for at in range(0, most - 1, piece):
        asking.connection.data_received(head[: most - 1][at : at + piece])
        assert asking.said() == b""
    asking.connection.data_received(head[most - 1 : most])
    assert (asking.said(), asking.pipe.closing) == (b"431", True)
    assert asking.refused("headers", 431) == 1
    await asyncio.sleep(0)
    asking.connection.connection_lost(None)


@pytest.mark.usefixtures("few_descriptors")
@in_virtual_time
async def test_who_comes_where_there_is_no_room_is_told_so(loop: VirtualLoop) -> None:
    connections = connections_of()
    for _ in range(MOST):
        connections.joined(Peer())
    asking = Asking(connections)
    assert (asking.said(), asking.pipe.closing) == (b"503", True)
    assert asking.refused("descriptors", 503) == 1
    assert (len(connections), len(connections.pending)) == (MOST, 0)
