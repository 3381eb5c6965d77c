"""Peers that behave as none should: a function a fault.

They block, on plain sockets, and run in threads: what they send is made beforehand, so that a flood is the
kernel's work and takes nothing from the healthy calls of the same process.
"""

import contextlib
import ctypes
import random
import select
import socket
import ssl
import struct
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.server.process import upgrade_request
from tests.timing import PATIENCE

Fault = Callable[[socket.socket], None]  # does its worst on a stream that has just begun
_UNPARSED = 400_000  # bytes that a server lets wait to be parsed
_DRIP = 0.1  # seconds between two bytes of one that trickles
_SO_ATTACH_FILTER = 26

_ZEROS = bytes(4)  # the mask of all that is sent here


def frame(payload: bytes, opcode: int = 2, *, fin: bool = True) -> bytes:
    """A client's WebSocket frame, masked with zeros."""
    size = len(payload)
    if size < 126:
        length = bytes([0x80 | size])
    elif size < 1 << 16:
        length = b"\xfe" + struct.pack(">H", size)
    else:
        length = b"\xff" + struct.pack(">Q", size)
    return bytes([0x80 * fin | opcode]) + length + _ZEROS + payload


AUDIO, PING, PONG, TEXT = frame(bytes(320)), frame(b"", 9), frame(b"", 10), frame(b"hello", 1)
GARBAGE = random.Random(1).randbytes(4096)


def connect(port: int, *, receive_buffer: int = 0, source: str = "127.0.0.1") -> socket.socket:
    """A connection that has said nothing yet."""
    peer = socket.socket()
    if receive_buffer:
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    peer.settimeout(PATIENCE)
    peer.bind((source, 0))
    peer.connect(("127.0.0.1", port))
    return peer


def dial(port: int, path: str, **options: Any) -> socket.socket:
    """A stream that has just begun."""
    peer = connect(port, **options)
    peer.sendall(upgrade_request(path))
    reply = b""
    while not reply.endswith(b"\r\n\r\n"):
        byte = peer.recv(1)
        assert byte, f"refused: {reply!r}"
        reply += byte
    assert reply.startswith(b"HTTP/1.1 101 "), reply
    return peer


def dial_audiosocket(port: int, name: str, **options: Any) -> socket.socket:
    """A stream on a port of AudioSocket that has just begun. Its UUID is made of a name (`uuid_of`)."""
    peer = connect(port, **options)
    peer.sendall(b"\x01\x00\x10" + uuid_of(name).bytes)
    assert peer.recv(1) == b"\x10"
    return peer


def uuid_of(name: str) -> uuid.UUID:
    """The UUID of a stream that a test has a name for."""
    return uuid.uuid5(uuid.NAMESPACE_URL, name)


def misbehave(
    port: int,
    faults: Sequence[tuple[str, Fault]],
    over: threading.Event,
    receive_buffer: int = 0,
    dial: Callable[..., socket.socket] = dial,
) -> None:
    """Let a peer have each fault on its path, all at once, and hold on to their connections until it is `over`."""

    def one(path: str, fault: Fault) -> None:
        with dial(port, path, receive_buffer=receive_buffer) as peer:
            with contextlib.suppress(ConnectionError):
                fault(peer)
            over.wait(PATIENCE)

    with ThreadPoolExecutor(len(faults)) as pool:
        for done in [pool.submit(one, path, fault) for path, fault in faults]:
            done.result()


def received(peer: socket.socket) -> Iterator[bytes]:
    """What comes until the server closes."""
    deadline = time.monotonic() + PATIENCE
    while data := peer.recv(65536):
        assert time.monotonic() < deadline, "it was never dropped"
        yield data


# -- slow, stalled, half open ----------------------------------------------------------------------


def never_reads(peer: socket.socket) -> None:
    """And says nothing."""


def talks_and_never_reads(peer: socket.socket) -> None:
    """Such a one seems to be alive."""
    for _ in range(round(PATIENCE * 10)):
        peer.sendall(PONG)
        time.sleep(0.1)


def answers_once(peer: socket.socket) -> None:
    """It reads on, but only the first ping is answered."""
    answered = False
    for data in received(peer):
        if not answered and b"\x89\x00" in data:
            peer.sendall(PONG)
            answered = True


def half_open(peer: socket.socket) -> None:
    """The cable is pulled; it never answered a ping."""
    pull_the_cable(peer)


def half_open_after_an_answer(peer: socket.socket) -> None:
    """The cable is pulled from one that answers pings."""
    peer.sendall(PONG)
    pull_the_cable(peer)


class _Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32)]


def pull_the_cable(peer: socket.socket) -> None:
    """Let the peer's own kernel get nothing of this connection any more, so that it acknowledges nothing either.

    By a filter (classic BPF) that keeps 0 bytes of each packet; it needs no rights. On a busy machine the server
    may not have dropped the connection by the end of a test. Then the peer ends it by a reset: after a FIN the
    server's kernel would offer what is unsent for minutes, and be counted.
    """
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("@ii", 1, 0))
    keep_nothing = _Instruction(0x06, 0, 0, 0)  # ret #0
    peer.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("@HP", 1, ctypes.addressof(keep_nothing)))


# -- too much, and nonsense ------------------------------------------------------------------------


def flood_of(message: bytes, first: bytes = b"") -> Fault:
    """The same message as fast as the server takes it.

    The peer reads all that it is sent, so that it does nothing else wrong: where the server works long on each
    message, a peer that reads nothing may be dropped for that first.
    """
    block = memoryview(message * (1_000_000 // len(message)))

    def flood(peer: socket.socket) -> None:
        peer.sendall(first)
        begun, sent, reading = time.monotonic(), 0, [peer]
        while time.monotonic() - begun < PATIENCE:
            readable, writable, _ = select.select(reading, [peer], [], PATIENCE)
            if readable and not peer.recv(65536):
                reading = []  # the server has closed its half
            if writable:
                sent = (sent + peer.send(block[sent:])) % len(block)

    return flood


def drip_of(message: bytes, first: bytes) -> Fault:
    """The same message again and again, little by little.

    It is less in all than a server that is late lets wait to be parsed, for more at once would be a flood.
    """
    block = message * (4096 // len(message))

    def drip(peer: socket.socket) -> None:
        peer.sendall(first)
        for _ in range(_UNPARSED // 4096):
            peer.sendall(block)
            time.sleep(0.01)
        for _ in received(peer):
            pass

    return drip


def say(what: bytes) -> Fault:
    """Say something, then listen until the server closes."""

    def fault(peer: socket.socket) -> None:
        peer.sendall(what)
        for _ in received(peer):
            pass

    return fault


def leave_after(what: bytes, *, reset: bool = False) -> Fault:
    """Say something, and go without a goodbye."""

    def fault(peer: socket.socket) -> None:
        peer.sendall(what)
        if reset:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()

    return fault


# -- those that are to be let be -------------------------------------------------------------------


def reads_slowly_until(over: threading.Event) -> Fault:
    """Half of what it is sent, with a small buffer; it answers pings."""

    def fault(peer: socket.socket) -> None:
        while not over.is_set():
            assert peer.recv(810), "it was dropped"
            peer.sendall(PONG)
            time.sleep(0.1)

    return fault


def never_answers(peer: socket.socket) -> None:
    """It reads, and has not heard of pings."""
    _read_for(peer, 4)


def writes_letters(peer: socket.socket) -> None:
    """Ten texts, which are never media."""
    peer.sendall(10 * TEXT)
    _read_for(peer, 0.5)


def _read_for(peer: socket.socket, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        assert peer.recv(65536), "it was dropped"


# -- at the door -----------------------------------------------------------------------------------


@contextlib.contextmanager
def crowd(port: int, count: int, source: str = "127.0.0.1") -> Iterator[list[socket.socket]]:
    """So many connections that have said nothing yet."""
    with contextlib.ExitStack() as stack:
        yield [stack.enter_context(connect(port, source=source)) for _ in range(count)]


def come_and_go(port: int, count: int) -> None:
    """So many connections, one after the other, that say nothing and go."""
    for n in range(count):
        connect(port).close()
        if n % 10 == 0:
            time.sleep(0.001)  # the calls beside have their turns in this process, too


def stay_and_come_again(port: int, count: int, over: threading.Event) -> int:
    """So many connections that say nothing, each replaced when it is ended; how often one was until `over`."""
    staying: dict[int, socket.socket] = {}
    replaced = 0
    with select.epoll() as ended:
        while not over.is_set():
            while len(staying) < count:
                peer = connect(port)
                staying[peer.fileno()] = peer
                ended.register(peer, select.EPOLLIN)
            for descriptor, _ in ended.poll(_DRIP):
                ended.unregister(descriptor)
                staying.pop(descriptor).close()
                replaced += 1
            over.wait(_DRIP / 4)  # each that comes again ends another
    for peer in staying.values():
        peer.close()
    return replaced


def dial_by_tls(port: int, path: str, context: ssl.SSLContext) -> float:
    """Seconds from the connection to the beginning of a stream."""
    begun = time.monotonic()
    with connect(port) as plug, context.wrap_socket(plug, server_hostname="127.0.0.1") as peer:
        peer.sendall(upgrade_request(path))
        assert peer.recv(12) == b"HTTP/1.1 101"
        return time.monotonic() - begun


def trickle(connections: list[socket.socket], request: bytes, seconds: float) -> None:
    """All of them say a byte now, and then another (slowloris), for so long."""
    steps = round(seconds / _DRIP)
    for at in range(steps):
        for each in connections:
            with contextlib.suppress(ConnectionError):
                each.send(request[at : at + 1], socket.MSG_DONTWAIT)
        time.sleep(_DRIP)


def answers(peers: Iterable[socket.socket]) -> Counter[str]:
    """The statuses that they are told; nothing where one is just cut off."""
    statuses: Counter[str] = Counter()
    for peer in peers:
        with contextlib.suppress(ConnectionError, TimeoutError):
            reply = peer.recv(4096)
            statuses[reply.split()[1].decode() if reply else ""] += 1
    return statuses
