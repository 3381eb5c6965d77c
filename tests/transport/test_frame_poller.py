"""Frames that are read at the ticks, past the parser: nothing is lost, doubled, or out of order."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
from aiohttp import WSMsgType

from mediaserver.playout.pacing.alarm import system_alarm
from mediaserver.playout.pacing.ticker import Ticker
from mediaserver.transport.connection import abort
from mediaserver.transport.frame_poller import FramePoller
from mediaserver.transport.server_websocket import ServerWebSocket
from mediaserver.wire import websocket
from tests.timing import eventually

FRAME = 320  # bytes of payload in a frame's message
_BINARY, _TEXT, _CLOSE, _PING = 2, 1, 8, 9


def masked(opcode: int, payload: bytes, key: bytes = b"\x01\x02\x03\x04", *, final: bool = True) -> bytes:
    """A frame as a client sends it (RFC 6455, section 5.2)."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2, "big")
    body = bytes(byte ^ key[n % 4] for n, byte in enumerate(payload))
    return bytes([0x80 * final | opcode]) + size + key + body


def numbered(number: int, size: int = FRAME) -> bytes:
    return number.to_bytes(4, "big") + bytes(size - 4)


@dataclass(eq=False)
class Sink:
    """Keeps the payloads of all binary messages, whichever way they came."""

    payloads: list[bytes] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    received: int = 0
    listening: bool = True
    irregular: bool = False
    ended: bool = False
    polled: int = 0  # frames that came by the poller

    def has_received(self, count: int) -> bool:
        return self.received == count


def all_have(peers: "Sequence[Peer]", count: int) -> bool:
    return all(len(peer.sink.payloads) == count for peer in peers)


def deliver(sinks: Sequence[Sink], messages: Sequence[bytes]) -> None:
    for sink, payload in zip(sinks, websocket.unmask_all(messages, FRAME), strict=True):
        sink.payloads.append(payload.tobytes())
        sink.polled += 1


class Peer:
    """A connection whose far end is a socket of the test's."""

    def __init__(self, far_end: socket.socket, connection: ServerWebSocket, sink: Sink) -> None:
        self.far_end, self.connection, self.sink = far_end, connection, sink
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while (message := await self.connection.receive()).type not in (WSMsgType.CLOSED, WSMsgType.CLOSE):
            if message.type is WSMsgType.BINARY:
                self.sink.payloads.append(message.data)
            elif message.type is WSMsgType.TEXT:
                self.sink.texts.append(message.data)
            elif message.type is WSMsgType.ERROR:
                break
        self.sink.ended = True

    def send(self, *data: bytes) -> None:
        self.far_end.sendall(b"".join(data))

    @property
    def polled(self) -> bool:
        """Whether the event loop does not read it now."""
        frames = self.connection._frames
        return frames is not None and frames.polled

    def close(self) -> None:
        self._reading.cancel()
        self.connection.release()
        self.far_end.close()
        if self.connection.transport is not None:
            abort(self.connection.transport)


@asynccontextmanager
async def peers(count: int = 1) -> AsyncIterator[list[Peer]]:
    """Connections whose frames are polled on a real clock."""
    loop = asyncio.get_running_loop()
    ticker = Ticker(partial(system_alarm, loop))
    poller: FramePoller[Sink] = FramePoller(ticker, deliver)
    made: list[Peer] = []
    for _ in range(count):
        near, far = socket.socketpair()
        near.setblocking(False)
        transport, _ = await loop.create_connection(asyncio.Protocol, sock=near)
        connection, sink = ServerWebSocket(transport, 65_536, lambda connection: None), Sink()
        connection.poll_frames(poller, sink, lambda: FRAME)
        made.append(Peer(far, connection, sink))
    try:
        yield made
    finally:
        for peer in made:
            peer.close()
        await asyncio.sleep(0)
        ticker.close()
        assert not poller.groups


async def test_a_peer_that_sends_whole_frames_is_polled_and_one_that_stops_is_not() -> None:
    async with peers() as (peer,):
        peer.send(masked(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        peer.send(masked(_BINARY, numbered(1)))
        await eventually(lambda: len(peer.sink.payloads) == 2)
        assert (peer.sink.payloads, peer.sink.received) == ([numbered(0), numbered(1)], 2)
        assert peer.sink.polled == 2
        await eventually(lambda: not peer.polled)
        peer.send(masked(_BINARY, numbered(2)))
        await eventually(lambda: peer.polled)


async def test_frames_that_nobody_listens_to_are_only_counted() -> None:
    async with peers() as (peer,):
        peer.sink.listening = False
        for number in range(5):
            peer.send(masked(_BINARY, numbered(number)))
            await eventually(partial(peer.sink.has_received, number + 1))
        assert peer.sink.payloads == []
        assert peer.connection.activity > 0


async def test_many_connections_are_polled_at_once() -> None:
    async with peers(120) as many:
        for number in range(3):
            for peer in many:
                peer.send(masked(_BINARY, numbered(number)))
            await eventually(partial(all_have, many, number + 1))
        assert all(peer.sink.payloads == [numbered(0), numbered(1), numbered(2)] for peer in many)


def anything(chance: random.Random, number: int) -> tuple[bytes, list[bytes], list[str]]:
    """Bytes of a peer that keeps the protocol, and the payloads and texts in them."""
    match chance.randrange(12):
        case 0:
            payload = numbered(number, chance.choice((4, 125, 126, 319, 321, 1000)))
            return masked(_BINARY, payload), [payload], []
        case 1:
            payload = numbered(number)
            at = chance.randrange(1, FRAME)
            ping = masked(_PING, b"x") * chance.randrange(2)
            return masked(_BINARY, payload[:at], final=False) + ping + masked(0, payload[at:]), [payload], []
        case 2:
            return masked(_TEXT, f"text {number}".encode()), [], [f"text {number}"]
        case 3:
            return masked(_PING, b"ping"), [], []
    payload = numbered(number)
    return masked(_BINARY, payload, chance.randbytes(4)), [payload], []


async def arrives(peer: Peer, payloads: list[bytes], texts: list[str]) -> None:
    """Wait until all has arrived; fail where anything is missing, doubled, or out of order."""
    await eventually(lambda: len(peer.sink.payloads) >= len(payloads) and len(peer.sink.texts) >= len(texts))
    assert peer.sink.payloads == payloads
    assert peer.sink.texts == texts


@pytest.mark.parametrize("seed", range(8))
async def test_messages_of_all_kinds_arrive_in_order(seed: int) -> None:
    chance = random.Random(seed)
    async with peers() as (peer,):
        payloads, texts = [numbered(0)], list[str]()
        peer.send(masked(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        for number in range(1, 200):
            data, binaries, strings = anything(chance, number)
            peer.send(data)
            payloads += binaries
            texts += strings
            if chance.random() < 0.5:
                await asyncio.sleep(0.02 * chance.random())
        await arrives(peer, payloads, texts)
        assert peer.sink.polled


@pytest.mark.parametrize("seed", range(8))
async def test_frames_in_whatever_pieces_arrive_whole(seed: int) -> None:
    chance = random.Random(seed)
    async with peers() as (peer,):
        payloads = [numbered(number) for number in range(200)]
        stream = b"".join(masked(_BINARY, payload, chance.randbytes(4)) for payload in payloads)
        while stream:
            size = chance.choice((1, 7, 327, 328, 328, 329, 656, 984, 3000))
            peer.send(stream[:size])
            stream = stream[size:]
            if chance.random() < 0.5:
                await asyncio.sleep(0.02 * chance.random())
        await arrives(peer, payloads, [])


BROKEN = {
    "a reserved bit": b"\xc2" + masked(_BINARY, numbered(9))[1:],
    "an opcode that there is not": b"\x83" + masked(_BINARY, numbered(9))[1:],
    "a message within another": masked(_BINARY, numbered(8), final=False) + masked(_BINARY, numbered(9)),
    "a continuation of nothing": masked(0, numbered(9)),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
async def test_what_the_parser_refuses_does_not_get_past_it(data: bytes) -> None:
    async with peers() as (peer,):
        peer.send(masked(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        peer.send(data, masked(_BINARY, numbered(10)))
        await eventually(lambda: peer.sink.ended)
        assert peer.sink.payloads == [numbered(0)]
        assert not peer.polled


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
async def test_the_end_of_a_polled_connection_is_seen(reset: bool) -> None:
    async with peers() as (peer,):
        peer.send(masked(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        peer.send(masked(_BINARY, numbered(1)))
        if reset:  # the kernel resets a Unix socket that is closed with bytes unread
            assert peer.connection.transport is not None
            peer.connection.transport.write(b"unread")
        peer.far_end.close()
        await eventually(lambda: peer.sink.ended)
        assert peer.sink.payloads[0] == numbered(0)
        assert peer.connection.transport is None


async def test_what_the_kernel_holds_of_a_connection_that_our_write_finds_broken_is_still_read() -> None:
    async with peers() as (peer,):
        peer.send(masked(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        numbers = range(1, 30)
        peer.send(*(masked(_BINARY, numbered(number)) for number in numbers), masked(_TEXT, b"the last"))
        assert peer.connection.transport is not None
        peer.connection.transport.abort()
        await eventually(lambda: peer.sink.ended)
        assert peer.sink.payloads == [numbered(0), *map(numbered, numbers)]
        assert peer.sink.texts == ["the last"]


async def test_messages_that_are_still_being_processed_are_not_overtaken() -> None:
    async with peers() as (peer,):
        payloads = [numbered(number, 100) for number in range(40)]
        peer.send(*(masked(_BINARY, payload) for payload in payloads))
        for number in range(40, 80):
            payloads.append(numbered(number))
            peer.send(masked(_BINARY, payloads[-1]))
            await asyncio.sleep(0)
        await arrives(peer, payloads, [])


async def test_frames_of_other_sizes_than_those_of_a_frame_are_left_to_the_parser() -> None:
    async with peers() as (peer,):
        frames = peer.connection._frames
        assert frames is not None
        for payload in (0, 125, 2049):
            frames._frame_size = lambda size=payload: size  # type: ignore[misc]
            assert not frames.begin(masked(_BINARY, numbered(1, max(4, payload))))
        frames._frame_size = lambda: FRAME
        assert not frames.begin(masked(_BINARY, numbered(1)) * 9)
        assert not frames.begin(masked(_BINARY, numbered(1))[:-1])


async def test_a_close_behind_frames_is_read_after_them() -> None:
    async with peers() as (peer,):
        peer.send(masked(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        peer.send(masked(_BINARY, numbered(1)), masked(_CLOSE, (1000).to_bytes(2, "big")))
        await eventually(lambda: peer.sink.ended)
        assert peer.sink.payloads == [numbered(0), numbered(1)]


async def test_a_burst_is_read_by_and_by_and_an_endless_one_by_the_event_loop() -> None:
    async with peers() as (peer,):
        peer.send(masked(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        peer.send(*(masked(_BINARY, numbered(1 + n)) for n in range(40)))
        await eventually(lambda: len(peer.sink.payloads) == 41)
        assert peer.sink.polled == 41
        peer.send(*(masked(_BINARY, numbered(41 + n)) for n in range(400)))
        await eventually(lambda: len(peer.sink.payloads) == 441)
        assert peer.sink.payloads == [numbered(n) for n in range(441)]
        assert peer.sink.polled < 41 + 3 * 51
