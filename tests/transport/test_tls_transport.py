"""TLS over a TCP connection: every byte arrives in order, and each way in which a connection ends is told."""

import asyncio
import itertools
import ssl
from collections.abc import Callable
from typing import Any

import pytest
import trustme

from mediaserver.transport.held_writes import HeldWrites
from mediaserver.transport.masking import MaskedTransport, mask_together
from mediaserver.transport.tls_transport import TlsTransport
from mediaserver.wire import websocket
from tests.transport.fake_transport import FakeTransport
from tests.transport.test_masking import unmask
from tests.virtual import VirtualLoop, in_virtual_time

AUTHORITY = trustme.CA()
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
Outcome = OSError | None


def server_context() -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    AUTHORITY.issue_cert("here").configure_cert(context)
    return context


CONTEXT = server_context()


class Tcp(FakeTransport):
    """The transport of a TCP connection, which tells its protocol that it is closed, as a real one does."""

    def __init__(self) -> None:
        super().__init__()
        self.protocol: Any = None

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("192.0.2.1", 5060)}.get(name, default)

    def get_write_buffer_size(self) -> int:
        return 42

    def close(self) -> None:
        self._close()

    def abort(self) -> None:
        self.aborted = True
        self._close()

    def _close(self) -> None:
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)


class Heard(asyncio.Protocol):
    """Notes what its transport tells it."""

    def __init__(self) -> None:
        self.data, self.calls = b"", list[str]()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: BaseException | None) -> None:
        self.calls.append("lost")

    def pause_writing(self) -> None:
        self.calls.append("pause")

    def resume_writing(self) -> None:
        self.calls.append("resume")


class Connection:
    """A server's connection, and the peer's TLS. Each side's bytes arrive in pieces of so many bytes."""

    def __init__(
        self, version: ssl.TLSVersion = VERSIONS[-1], piece: int = 1 << 20, server: ssl.SSLContext = CONTEXT
    ) -> None:
        context = ssl.create_default_context()
        AUTHORITY.configure_trust(context)
        context.minimum_version = context.maximum_version = version
        self.piece, self.tcp, self.heard, self.outcomes = piece, Tcp(), Heard(), list[Outcome]()
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.peer = context.wrap_bio(self.incoming, self.outgoing, server_hostname="here")
        self.writes = HeldWrites()
        self.transport = TlsTransport(self.tcp, server, self.on_handshake, self.writes)

    def on_handshake(self, transport: TlsTransport, error: Outcome) -> None:
        assert transport is self.transport
        self.outcomes.append(error)
        transport.set_protocol(self.heard)

    def exchange(self) -> None:
        """Carry what each side has sent to the other."""
        self.incoming.write(self.tcp.written)
        self.tcp.written = b""
        said = self.outgoing.read()
        for at in range(0, len(said), self.piece):
            self.tcp.protocol.data_received(said[at : at + self.piece])

    def do(self, step: Callable[[], Any]) -> Any:
        """Have the peer do something, for which it may have to wait for the server."""
        for _ in range(10):
            try:
                return step()
            except ssl.SSLWantReadError:
                self.exchange()
        raise AssertionError("the peer waits for ever")

    def shake_hands(self) -> "Connection":
        self.do(self.peer.do_handshake)
        self.exchange()
        assert self.outcomes == [None]
        return self

    def say(self, data: bytes) -> None:
        self.peer.write(data)
        self.exchange()

    def listen(self, size: int) -> bytes:
        """So many bytes that the peer gets."""
        got = b""
        while len(got) < size:
            got += self.do(lambda: self.peer.read(65536))
        return got


def numbers(size: int) -> bytes:
    return b"".join(n.to_bytes(4, "big") for n in range(size // 4))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("piece", [1, 7, 1500, 1 << 20])
@in_virtual_time
async def test_every_byte_arrives_in_order_in_both_directions(
    version: ssl.TLSVersion, piece: int, loop: VirtualLoop
) -> None:
    connection = Connection(version, piece).shake_hands()
    sizes = (4, 324, 16_384, 16_388) if piece < 100 else (4, 324, 16_384, 200_000)
    for size in sizes:
        connection.say(numbers(size))
        assert connection.heard.data == numbers(size)
        connection.heard.data = b""
        connection.transport.write(numbers(size))
        assert connection.listen(size) == numbers(size)
    connection.transport.write(b"")
    assert connection.tcp.written == b""
    connection.transport.writelines([b"one", bytearray(b"two"), memoryview(b"three")])
    assert connection.listen(11) == b"onetwothree"
    assert connection.heard.calls == []


@in_virtual_time
async def test_what_is_written_while_writes_are_held_is_sent_at_the_release(loop: VirtualLoop) -> None:
    connection = Connection().shake_hands()
    connection.exchange()  # the session tickets that follow the handshake
    connection.writes.hold()
    for part in (b"one", b"two"):
        connection.transport.write(part)
    assert connection.tcp.written == b""
    connection.writes.release()
    assert connection.listen(6) == b"onetwo"
    connection.writes.hold()
    connection.transport.write(b"last")
    connection.transport.close()  # tells the peer that TLS is over, after all that was written
    connection.writes.release()
    assert connection.listen(4) == b"last"


@in_virtual_time
async def test_masked_frames_are_held_as_well_and_arrive_in_order(loop: VirtualLoop) -> None:
    connection = Connection().shake_hands()
    connection.exchange()
    masked, frames = MaskedTransport(connection.transport), [websocket.binary(bytes([n]) * 320) for n in range(3)]
    connection.writes.hold()
    for frame in mask_together(frames):
        masked.write_masked(frame)
    assert connection.tcp.written == b""
    connection.writes.release()
    size = len(frames[0]) + websocket.MASK_BYTES
    heard = connection.listen(3 * size)
    assert [unmask(heard[at : at + size]) for at in range(0, len(heard), size)] == [frame[4:] for frame in frames]


@in_virtual_time
async def test_what_follows_the_handshake_in_one_flight_is_heard(loop: VirtualLoop) -> None:
    connection = Connection()
    connection.do(connection.peer.do_handshake)
    connection.peer.write(b"at once")
    connection.exchange()
    assert (connection.outcomes, connection.heard.data) == ([None], b"at once")


@in_virtual_time
async def test_a_transport_tells_of_its_connection(loop: VirtualLoop) -> None:
    transport = Connection().shake_hands().transport
    assert transport.get_extra_info("sslcontext") is CONTEXT
    assert transport.get_extra_info("ssl_object").version() == "TLSv1.3"
    assert transport.get_extra_info("peername") == ("192.0.2.1", 5060)
    assert transport.get_extra_info("cats", "none") == "none"
    assert (transport.get_write_buffer_size(), transport.can_write_eof()) == (42, False)


@in_virtual_time
async def test_flow_control_is_that_of_the_tcp_connection(loop: VirtualLoop) -> None:
    connection = Connection().shake_hands()
    connection.transport.pause_reading()
    assert not connection.tcp.reading
    connection.transport.resume_reading()
    assert connection.tcp.reading
    connection.tcp.protocol.pause_writing()
    connection.tcp.protocol.resume_writing()
    assert connection.heard.calls == ["pause", "resume"]


@pytest.mark.parametrize("version", VERSIONS)
@in_virtual_time
async def test_a_close_sends_all_and_waits_for_the_peer_s_answer(
    version: ssl.TLSVersion, loop: VirtualLoop
) -> None:
    connection = Connection(version).shake_hands()
    connection.transport.pause_reading()
    connection.transport.write(b"the last words")
    connection.transport.close()
    connection.transport.close()  # the second time has no effect
    connection.transport.write(b"too late")
    tcp = connection.tcp
    assert (connection.transport.is_closing(), tcp.closing, tcp.reading) == (True, False, True)
    assert connection.listen(14) == b"the last words"
    assert connection.peer.read(100) == b""  # an orderly end
    connection.say(b"this is dropped")
    assert not connection.tcp.closing
    connection.peer.unwrap()
    connection.exchange()
    assert (connection.tcp.closing, connection.tcp.aborted) == (True, False)
    await asyncio.sleep(10)
    assert (connection.heard.calls, connection.heard.data, loop.time()) == (["lost"], b"", 10)


@in_virtual_time
async def test_a_peer_that_does_not_answer_a_close_is_cut_after_a_second(loop: VirtualLoop) -> None:
    connection = Connection().shake_hands()
    connection.transport.close()
    for _ in range(9):
        await asyncio.sleep(0.1)
        connection.say(b"still talking")
        assert not connection.tcp.closing
    await asyncio.sleep(0.2)
    assert (connection.tcp.aborted, connection.heard.calls, connection.heard.data) == (True, ["lost"], b"")


@pytest.mark.parametrize("version", VERSIONS)
@in_virtual_time
async def test_a_peer_that_closes_is_answered(version: ssl.TLSVersion, loop: VirtualLoop) -> None:
    connection = Connection(version).shake_hands()
    connection.peer.write(b"bye")
    connection.do(connection.peer.unwrap)
    await asyncio.sleep(0)
    assert (connection.heard.data, connection.heard.calls) == (b"bye", ["lost"])
    assert (connection.tcp.closing, connection.tcp.aborted) == (True, False)


@in_virtual_time
async def test_a_connection_that_breaks_or_is_aborted_is_told_as_lost(loop: VirtualLoop) -> None:
    broken, aborted = Connection().shake_hands(), Connection().shake_hands()
    assert not broken.tcp.protocol.eof_received()  # so that the TCP connection closes
    broken.tcp.protocol.connection_lost(ConnectionResetError())
    aborted.transport.abort()
    await asyncio.sleep(0)
    for connection in (broken, aborted):
        assert connection.transport.is_closing()
        assert connection.heard.calls == ["lost"]
        connection.tcp.written = b""
        connection.transport.write(b"after the end")
        connection.transport.close()
        assert connection.tcp.written == b""
    assert loop.waiting == []


@pytest.mark.parametrize("version", VERSIONS)
@in_virtual_time
async def test_bytes_that_are_no_tls_end_the_connection_with_an_alert(
    version: ssl.TLSVersion, loop: VirtualLoop
) -> None:
    connection = Connection(version).shake_hands()
    connection.peer.write(b"this arrives damaged")
    damaged = bytearray(connection.outgoing.read())
    damaged[-1] ^= 1
    connection.tcp.protocol.data_received(bytes(damaged))
    await asyncio.sleep(2)
    assert (connection.tcp.closing, connection.heard.calls, connection.heard.data) == (True, ["lost"], b"")
    with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
        connection.do(lambda: connection.peer.read(100))


@in_virtual_time
async def test_a_handshake_that_fails_is_told_and_the_peer_gets_an_alert(loop: VirtualLoop) -> None:
    connection = Connection()
    connection.tcp.protocol.data_received(b"GET / HTTP/1.1\r\n\r\n")
    (error,) = connection.outcomes
    assert isinstance(error, ssl.SSLError)
    assert error.reason == "HTTP_REQUEST"
    assert connection.tcp.closing
    newest = server_context()
    newest.minimum_version = ssl.TLSVersion.TLSv1_3
    old = Connection(ssl.TLSVersion.TLSv1_2, server=newest)
    with pytest.raises(ssl.SSLError, match=r"(?i)alert"):
        old.do(old.peer.do_handshake)
    assert [type(error) for error in old.outcomes] == [ssl.SSLError]
    await asyncio.sleep(10)
    assert connection.heard.calls == old.heard.calls == ["lost"]


@pytest.mark.parametrize("end", ["abort", "close", "break"])
@in_virtual_time
async def test_a_handshake_that_is_cut_short_is_told_as_a_lost_connection(end: str, loop: VirtualLoop) -> None:
    connection = Connection()
    with pytest.raises(ssl.SSLWantReadError):
        connection.peer.do_handshake()
    connection.exchange()
    if end == "break":
        connection.tcp.protocol.connection_lost(None)
    else:
        getattr(connection.transport, end)()
    await asyncio.sleep(0)
    assert [type(error) for error in connection.outcomes] == [ConnectionResetError]
    assert loop.waiting == []


@in_virtual_time
async def test_hostile_bytes_raise_nothing(loop: VirtualLoop) -> None:
    """Damage at each place of what a peer says, in the handshake and after it."""
    connection = Connection()
    with pytest.raises(ssl.SSLWantReadError):
        connection.peer.do_handshake()
    hello = connection.outgoing.read()
    for at, bit in itertools.product(range(0, len(hello), 3), (1, 0x80)):
        damaged = bytearray(hello)
        damaged[at] ^= bit
        other = Connection()
        other.tcp.protocol.data_received(bytes(damaged))
        other.tcp.protocol.data_received(bytes(100))
        other.transport.abort()
        assert len(other.outcomes) <= 1
    await asyncio.sleep(0)
