"""What the pings to a server that we have dialled show, under virtual time."""

import asyncio

import pytest
from aiohttp import WSMsgType

from mediaserver.support.timers import Timers
from mediaserver.transport.keepalive import Keepalive
from mediaserver.transport.websocket_connection import WebSocketConnection
from mediaserver.wire import websocket
from tests.transport.fake_transport import FakeTransport
from tests.virtual import VirtualLoop, in_virtual_time


class Peer:
    """A server that is pinged. What is sent to it counts as `progress`."""

    def __init__(self, *, first_after: float = 0.0, interval: float = 0.5, counts: bool = True) -> None:
        self.transport = FakeTransport()
        self.websocket = WebSocketConnection(self.transport, 65_536, is_client=True)
        self.progress, self.given_up = 0, list[float]()
        self.keepalive = Keepalive(
            self.websocket,
            Timers(),
            first_after=first_after,
            interval=interval,
            timeout=5.0,
            on_timeout=lambda: self.given_up.append(asyncio.get_running_loop().time()),
            progress=(lambda: self.progress) if counts else None,
        )
        self._reading = asyncio.create_task(self._read())

    def pings(self) -> list[bytes]:
        """The payloads of the pings that have come since the last call."""
        written, self.transport.written = self.transport.written, b""
        found = []
        while written:
            assert written[0] == 0x89
            size = written[1] - 0x80  # masked, as a client's frames are
            key, payload = written[2:6], written[6 : 6 + size]
            found.append(bytes(byte ^ key[n % 4] for n, byte in enumerate(payload)))
            written = written[6 + size :]
        return found

    async def pong(self, payload: bytes) -> None:
        """Have a pong come, by whichever way."""
        self.websocket.data_received(websocket.pong(payload))
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    async def _read(self) -> None:
        while (message := await self.websocket.receive()).type is WSMsgType.PONG:
            self.websocket.on_pong(message.data)


@in_virtual_time
async def test_a_pong_confirms_what_was_sent_before_its_ping(loop: VirtualLoop) -> None:
    peer = Peer()
    peer.progress = 7
    await asyncio.sleep(0.1)
    assert (peer.pings(), peer.keepalive.confirmed) == ([b"7"], 0)
    peer.progress = 20
    await peer.pong(b"7")
    assert peer.keepalive.confirmed == 7
    await asyncio.sleep(0.5)
    assert (peer.pings(), peer.keepalive.confirmed) == ([b"20"], 7)
    peer.progress = 45
    await peer.pong(b"7")  # an old one
    assert peer.keepalive.confirmed == 7
    await asyncio.sleep(0.5)
    assert peer.pings() == []  # the ping before is not answered yet
    await peer.pong(b"20")
    assert peer.keepalive.confirmed == 20
    await asyncio.sleep(0.5)
    assert (peer.pings(), peer.keepalive.confirmed) == ([b"45"], 20)
    assert not peer.given_up


@in_virtual_time
async def test_a_peer_that_answers_is_pinged_twice_a_second(loop: VirtualLoop) -> None:
    peer, at = Peer(), list[float]()
    for tick in range(1000):
        await asyncio.sleep(0.01)
        peer.progress = tick
        if pings := peer.pings():
            at.append(loop.time())
            await peer.pong(pings[0])
    assert [round(2 * time) for time in at] == list(range(21))
    peer.keepalive.stop()
    await asyncio.sleep(10)
    assert (peer.pings(), peer.given_up) == ([], [])


@pytest.mark.parametrize("pong", [None, b"1"])
@in_virtual_time
async def test_a_peer_that_does_not_answer_for_five_seconds_is_given_up_once(
    pong: bytes | None, loop: VirtualLoop
) -> None:
    peer = Peer()
    await asyncio.sleep(0.9)
    await peer.pong(b"0")
    await asyncio.sleep(1)  # pinged again at 1.0
    assert peer.pings() == [b"0", b"0"]
    if pong is not None:
        await peer.pong(pong)  # of another ping
    await asyncio.sleep(100)
    assert peer.given_up == [6.0]
    assert peer.pings() == []


@in_virtual_time
async def test_a_late_pong_is_in_time(loop: VirtualLoop) -> None:
    peer = Peer()
    await asyncio.sleep(4.9)
    await peer.pong(b"0")
    await asyncio.sleep(4.9)
    assert (peer.pings(), peer.given_up) == ([b"0", b"0"], [])


@in_virtual_time
async def test_without_a_number_any_pong_is_an_answer(loop: VirtualLoop) -> None:
    peer = Peer(first_after=5.0, interval=5.0, counts=False)
    await asyncio.sleep(4.9)
    assert peer.pings() == []
    await asyncio.sleep(0.2)
    assert peer.pings() == [b""]
    await peer.pong(b"any")
    await asyncio.sleep(5)
    assert (peer.pings(), peer.given_up) == ([b""], [])
    await asyncio.sleep(5)
    assert peer.given_up == [15.0]


@in_virtual_time
async def test_a_connection_that_is_closing_is_not_pinged(loop: VirtualLoop) -> None:
    peer = Peer()
    peer.transport.closing = True
    await asyncio.sleep(100)
    assert (peer.pings(), peer.given_up) == ([], [])
