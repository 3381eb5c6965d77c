"""Frames that are read at the ticks, past the parser: nothing is lost, doubled, or out of order."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest
from aiohttp import WebSocketError, WSMsgType

from mediaserver.playout.pacing.alarm import system_alarm
from mediaserver.playout.pacing.ticker import Ticker
from mediaserver.transport.client_tls import begin_tls
from mediaserver.transport.connection import abort
from mediaserver.transport.frame_poller import FramePoller
from mediaserver.transport.held_writes import HeldWrites
from mediaserver.transport.tls_transport import TlsTransport
from mediaserver.transport.websocket_connection import WebSocketConnection
from mediaserver.wire import websocket
from tests.timing import eventually
from tests.transport.far_end import CLIENT, SERVER, PlainEnd, TlsEnd, connected

FRAME = 320  # bytes of payload in a frame's message
_BINARY, _TEXT, _CLOSE, _PING, _PONG = 2, 1, 8, 9, 10


# Who has dialled whom, and whether by TLS.
KINDS = ["served", "dialled", "served by TLS", "dialled by TLS"]
every_kind = pytest.mark.parametrize("kind", KINDS)
by_tls = pytest.mark.parametrize("kind", ["served by TLS", "dialled by TLS"])
of_servers = pytest.mark.parametrize("kind", ["dialled", "dialled by TLS"])


def frame(opcode: int, payload: bytes, key: bytes | None, *, final: bool = True) -> bytes:
    """A frame (RFC 6455, section 5.2) as a client sends it, masked by `key`, or a server, without a key."""
    head = bytes([0x80 * final | opcode]) + websocket.header(len(payload))[1:]
    if key is None:
        return head + payload
    body = bytes(byte ^ key[n % 4] for n, byte in enumerate(payload))
    return bytes([head[0], 0x80 | head[1]]) + head[2:] + key + body


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
    assert len({message[:4] for message in messages}) == 1
    for sink, payload in zip(sinks, websocket.payloads(messages), strict=True):
        sink.payloads.append(payload.tobytes())
        sink.polled += 1


async def tls_over(transport: asyncio.Transport, *, is_client: bool) -> asyncio.Transport:
    """The transport of our side's TLS once it has shaken hands."""
    if is_client:
        return (await begin_tls(transport, b"", CLIENT, "here", asyncio.Protocol, writes=HeldWrites()))[0]
    shaken = asyncio.get_running_loop().create_future()

    def on_handshake(tls: TlsTransport, error: OSError | None) -> None:
        tls.set_protocol(asyncio.Protocol())
        shaken.set_result(error)

    tls = TlsTransport(transport, SERVER, on_handshake, HeldWrites())
    assert await shaken is None
    return tls


class Peer:
    """A connection whose far end is a socket of the test's."""

    def __init__(self, far_end: PlainEnd, connection: WebSocketConnection, sink: Sink, masks: bool) -> None:
        self.far_end, self.connection, self.sink, self._masks = far_end, connection, sink, masks
        self.ended_by: object = None  # the data of the last message
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        while (message := await self.connection.receive()).type not in (WSMsgType.CLOSED, WSMsgType.CLOSE):
            if message.type is WSMsgType.BINARY:
                self.sink.payloads.append(message.data)
            elif message.type is WSMsgType.TEXT:
                self.sink.texts.append(message.data)
            elif message.type is WSMsgType.PONG:
                self.connection.on_pong(message.data)
            elif message.type is WSMsgType.ERROR:
                break
        self.ended_by = message.data
        self.sink.ended = True

    def frame(self, opcode: int, payload: bytes, key: bytes = b"\x01\x02\x03\x04", *, final: bool = True) -> bytes:
        return frame(opcode, payload, key if self._masks else None, final=final)

    def send(self, *data: bytes) -> None:
        self.far_end.send(*data)

    @property
    def polled(self) -> bool:
        """Whether its frames are left to the poller now."""
        frames = self.connection._frames
        return frames is not None and frames.polled

    def close(self) -> None:
        self._reading.cancel()
        self.connection.release()
        self.far_end.close()
        abort(self.connection.transport)


@asynccontextmanager
async def peers(kind: str, count: int = 1) -> AsyncIterator[list[Peer]]:
    """Connections whose frames are polled on a real clock."""
    loop = asyncio.get_running_loop()
    ticker = Ticker(partial(system_alarm, loop))
    poller: FramePoller[Sink] = FramePoller(ticker, deliver)
    made: list[Peer] = []
    for _ in range(count):
        transport, _, far = await connected()
        is_client, far_end = kind.startswith("dialled"), PlainEnd(far)
        if kind.endswith("TLS"):
            far_end = TlsEnd(far, is_server=is_client)
            transport, _ = await asyncio.gather(tls_over(transport, is_client=is_client), far_end.shake_hands())
        connection, sink = WebSocketConnection(transport, 65_536, is_client=is_client), Sink()
        connection.poll_frames(poller, sink, lambda: FRAME)
        made.append(Peer(far_end, connection, sink, masks=not is_client))
    try:
        yield made
    finally:
        for peer in made:
            peer.close()
        await asyncio.sleep(0)
        ticker.close()
        assert not poller.groups


@every_kind
async def test_a_peer_that_sends_whole_frames_is_polled_and_one_that_stops_is_not(kind: str) -> None:
    async with peers(kind) as (peer,):
        peer.send(peer.frame(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        peer.send(peer.frame(_BINARY, numbered(1)))
        await eventually(lambda: len(peer.sink.payloads) == 2)
        assert (peer.sink.payloads, peer.sink.received) == ([numbered(0), numbered(1)], 2)
        assert peer.sink.polled == 2
        await eventually(lambda: not peer.polled)
        peer.send(peer.frame(_BINARY, numbered(2)))
        await eventually(lambda: peer.polled)


@every_kind
async def test_frames_that_nobody_listens_to_are_only_counted(kind: str) -> None:
    async with peers(kind) as (peer,):
        peer.sink.listening = False
        for number in range(5):
            peer.send(peer.frame(_BINARY, numbered(number)))
            await eventually(partial(peer.sink.has_received, number + 1))
        assert peer.sink.payloads == []
        assert peer.connection.activity > 0


@every_kind
async def test_many_connections_are_polled_at_once(kind: str) -> None:
    async with peers(kind, 120) as many:
        for number in range(3):
            for peer in many:
                peer.send(peer.frame(_BINARY, numbered(number)))
            await eventually(partial(all_have, many, number + 1))
        assert all(peer.sink.payloads == [numbered(0), numbered(1), numbered(2)] for peer in many)


def anything(peer: Peer, chance: random.Random, number: int) -> tuple[bytes, list[bytes], list[str]]:
    """Bytes of a peer that keeps the protocol, and the payloads and texts in them."""
    match chance.randrange(12):
        case 0:
            payload = numbered(number, chance.choice((4, 125, 126, 319, 321, 1000)))
            return peer.frame(_BINARY, payload), [payload], []
        case 1:
            payload = numbered(number)
            at = chance.randrange(1, FRAME)
            ping = peer.frame(_PING, b"x") * chance.randrange(2)
            return (
                peer.frame(_BINARY, payload[:at], final=False) + ping + peer.frame(0, payload[at:]),
                [payload],
                [],
            )
        case 2:
            return peer.frame(_TEXT, f"text {number}".encode()), [], [f"text {number}"]
        case 3:
            return peer.frame(_PING, b"ping"), [], []
    payload = numbered(number)
    return peer.frame(_BINARY, payload, chance.randbytes(4)), [payload], []


async def arrives(peer: Peer, payloads: list[bytes], texts: list[str]) -> None:
    """Wait until all has arrived; fail where anything is missing, doubled, or out of order."""
    await eventually(lambda: len(peer.sink.payloads) >= len(payloads) and len(peer.sink.texts) >= len(texts))
    assert peer.sink.payloads == payloads
    assert peer.sink.texts == texts


@pytest.mark.parametrize("seed", range(3))
@every_kind
async def test_messages_of_all_kinds_arrive_in_order(kind: str, seed: int) -> None:
    chance = random.Random(seed)
    async with peers(kind) as (peer,):
        payloads, texts = [numbered(0)], list[str]()
        peer.send(peer.frame(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        for number in range(1, 200):
            data, binaries, strings = anything(peer, chance, number)
            peer.send(data)
            payloads += binaries
            texts += strings
            if chance.random() < 0.5:
                await asyncio.sleep(0.02 * chance.random())
        await arrives(peer, payloads, texts)
        assert peer.sink.polled


@pytest.mark.parametrize("seed", range(3))
@every_kind
async def test_frames_in_whatever_pieces_arrive_whole(kind: str, seed: int) -> None:
    chance = random.Random(seed)
    async with peers(kind) as (peer,):
        payloads = [numbered(number) for number in range(200)]
        stream = b"".join(peer.frame(_BINARY, payload, chance.randbytes(4)) for payload in payloads)
        while stream:
            size = chance.choice((1, 7, 327, 328, 328, 329, 656, 984, 3000))
            peer.send(stream[:size])
            stream = stream[size:]
            if chance.random() < 0.5:
                await asyncio.sleep(0.02 * chance.random())
        await arrives(peer, payloads, [])


BROKEN: dict[str, Callable[[Peer], bytes]] = {
    "a reserved bit": lambda peer: b"\xc2" + peer.frame(_BINARY, numbered(9))[1:],
    "an opcode that there is not": lambda peer: b"\x83" + peer.frame(_BINARY, numbered(9))[1:],
    "a message within another": lambda peer: (
        peer.frame(_BINARY, numbered(8), final=False) + peer.frame(_BINARY, numbered(9))
    ),
    "a continuation of nothing": lambda peer: peer.frame(0, numbered(9)),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
@every_kind
async def test_what_the_parser_refuses_does_not_get_past_it(kind: str, data: Callable[[Peer], bytes]) -> None:
    async with peers(kind) as (peer,):
        peer.send(peer.frame(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        peer.send(data(peer), peer.frame(_BINARY, numbered(10)))
        await eventually(lambda: peer.sink.ended)
        assert peer.sink.payloads == [numbered(0)]
        assert not peer.polled


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@every_kind
async def test_the_end_of_a_polled_connection_is_seen(kind: str, reset: bool) -> None:
    async with peers(kind) as (peer,):
        peer.send(peer.frame(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        peer.send(peer.frame(_BINARY, numbered(1)))
        if reset:  # the kernel resets a Unix socket that is closed with bytes unread
            peer.connection.transport.write(b"unread")
        peer.far_end.close()
        await eventually(lambda: peer.sink.ended)
        assert peer.sink.payloads[0] == numbered(0)
        assert peer.connection.transport.is_closing()


@every_kind
async def test_what_the_kernel_holds_of_a_connection_that_our_write_finds_broken_is_still_read(kind: str) -> None:
    async with peers(kind) as (peer,):
        peer.send(peer.frame(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        numbers = range(1, 30)
        peer.send(*(peer.frame(_BINARY, numbered(number)) for number in numbers), peer.frame(_TEXT, b"the last"))
        peer.far_end.close()
        peer.connection.transport.write(b"which fails")
        await eventually(lambda: peer.sink.ended)
        assert peer.sink.payloads == [numbered(0), *map(numbered, numbers)]
        assert peer.sink.texts == ["the last"]


@every_kind
async def test_messages_that_are_still_being_processed_are_not_overtaken(kind: str) -> None:
    async with peers(kind) as (peer,):
        payloads = [numbered(number, 100) for number in range(40)]
        peer.send(*(peer.frame(_BINARY, payload) for payload in payloads))
        for number in range(40, 80):
            payloads.append(numbered(number))
            peer.send(peer.frame(_BINARY, payloads[-1]))
            await asyncio.sleep(0)
        await arrives(peer, payloads, [])


@every_kind
async def test_frames_of_other_sizes_than_those_of_a_frame_are_left_to_the_parser(kind: str) -> None:
    async with peers(kind) as (peer,):
        frames = peer.connection._frames
        assert frames is not None
        for payload in (0, 125, 2049):
            frames._frame_size = lambda size=payload: size  # type: ignore[misc]
            assert not frames.offer(peer.frame(_BINARY, numbered(1, max(4, payload))))
        frames._frame_size = lambda: FRAME
        assert not frames.offer(peer.frame(_BINARY, numbered(1)) * 9)
        assert not frames.offer(peer.frame(_BINARY, numbered(1))[:-1])


@every_kind
async def test_a_close_behind_frames_is_read_after_them(kind: str) -> None:
    async with peers(kind) as (peer,):
        peer.send(peer.frame(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        peer.send(peer.frame(_BINARY, numbered(1)), peer.frame(_CLOSE, (1000).to_bytes(2, "big")))
        await eventually(lambda: peer.sink.ended)
        assert peer.sink.payloads == [numbered(0), numbered(1)]


@every_kind
async def test_a_burst_of_a_client_is_read_by_and_by_and_an_endless_one_by_the_event_loop(kind: str) -> None:
    async with peers(kind) as (peer,):
        peer.send(peer.frame(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        peer.send(*(peer.frame(_BINARY, numbered(1 + n)) for n in range(40)))
        await eventually(lambda: len(peer.sink.payloads) == 41)
        if kind.startswith("served"):
            assert peer.sink.polled == 41
        peer.send(*(peer.frame(_BINARY, numbered(41 + n)) for n in range(400)))
        await eventually(lambda: len(peer.sink.payloads) == 441)
        assert peer.sink.payloads == [numbered(n) for n in range(441)]
        assert peer.sink.polled < 41 + 3 * 51


@every_kind
async def test_a_pong_among_frames_is_counted_and_does_not_interrupt_the_polls(kind: str) -> None:
    async with peers(kind) as (peer,):
        peer.send(peer.frame(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        assert peer.connection._parser is not None
        parsed, payload = peer.connection._parser.received, b"123456" if kind.startswith("dialled") else b""
        pong = peer.frame(_PONG, payload)
        expected, number = [numbered(0)], 1
        for before, behind in ((1, 1), (2, 0), (0, 2), (0, 0), (1, 0)):
            frames = [numbered(number + n) for n in range(before + behind)]
            expected += frames
            number += len(frames)
            peer.connection.ping(payload)
            peer.send(
                *(peer.frame(_BINARY, frame) for frame in frames[:before]),
                pong,
                *(peer.frame(_BINARY, frame) for frame in frames[before:]),
            )
            pongs = peer.connection.pongs + 1
            await eventually(lambda: peer.connection.pongs == pongs)  # noqa: B023
            await eventually(partial(peer.sink.has_received, number))
        assert peer.sink.payloads == expected
        assert peer.connection._parser.received == parsed


@of_servers
async def test_only_the_pong_with_the_ping_s_payload_counts_and_only_once(kind: str) -> None:
    async with peers(kind) as (peer,):
        peer.send(peer.frame(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        peer.connection.ping(b"100")
        peer.send(peer.frame(_PONG, b"99"), peer.frame(_BINARY, numbered(1)), peer.frame(_TEXT, b"a"))
        await eventually(lambda: peer.sink.texts)
        assert peer.connection.pongs == 0
        peer.send(peer.frame(_PONG, b"100"), peer.frame(_BINARY, numbered(2)))
        await eventually(lambda: len(peer.sink.payloads) == 3)
        assert peer.connection.pongs == 1
        peer.send(peer.frame(_TEXT, b"b"))
        await eventually(lambda: len(peer.sink.texts) == 2)
        assert peer.sink.payloads == [numbered(0), numbered(1), numbered(2)]


@of_servers
@pytest.mark.parametrize("before", [0, 1])
async def test_a_server_that_masks_its_frames_breaks_the_protocol(kind: str, before: int) -> None:
    async with peers(kind) as (peer,):
        if before:
            peer.send(peer.frame(_BINARY, numbered(0)))
            await eventually(lambda: peer.polled)
        peer.send(frame(_BINARY, numbered(1), b"\x01\x02\x03\x04"), peer.frame(_BINARY, numbered(2)))
        await eventually(lambda: peer.sink.ended)
        assert peer.sink.payloads == [numbered(0)] * before
        assert isinstance(peer.ended_by, WebSocketError)
        assert peer.ended_by.code == 1002


@of_servers
async def test_a_burst_of_a_server_is_read_before_the_server_resets_the_connection(kind: str) -> None:
    async with peers(kind) as (peer,):
        peer.send(peer.frame(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        peer.send(*(peer.frame(_BINARY, numbered(1 + n)) for n in range(40)))
        await eventually(lambda: not peer.polled)
        assert peer.sink.polled <= 1 + 3
        await eventually(lambda: len(peer.sink.payloads) == 41)
        assert peer.sink.payloads == [numbered(n) for n in range(41)]
        peer.send(peer.frame(_BINARY, numbered(41)))
        await eventually(lambda: peer.polled)


@by_tls
async def test_a_record_with_more_frames_than_a_poll_may_take_is_parsed(kind: str) -> None:
    async with peers(kind) as (peer,):
        peer.send(peer.frame(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        await eventually(lambda: peer.sink.polled == 1)
        peer.send(b"".join(peer.frame(_BINARY, numbered(number)) for number in range(1, 41)))
        peer.send(peer.frame(_TEXT, b"behind"))
        await arrives(peer, [numbered(number) for number in range(41)], ["behind"])
        assert peer.sink.polled == 1


@by_tls
async def test_the_end_of_tls_is_seen_behind_the_last_frame(kind: str) -> None:
    async with peers(kind) as (peer,):
        peer.send(peer.frame(_BINARY, numbered(0)))
        await eventually(lambda: peer.polled)
        await eventually(lambda: peer.sink.polled == 1)
        peer.send(peer.frame(_BINARY, numbered(1)))
        assert isinstance(peer.far_end, TlsEnd)
        peer.far_end.end_tls()
        await eventually(lambda: peer.sink.ended)
        assert peer.sink.payloads == [numbered(0), numbered(1)]
        assert peer.connection.transport.is_closing()
