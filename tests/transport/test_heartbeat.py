"""What the heartbeat concludes of a peer, under virtual time."""

import asyncio
import socket
from collections.abc import Callable

import pytest

from mediaserver.call import End, EndReason
from mediaserver.support.timers import Timers
from mediaserver.transport.heartbeat import Heartbeat
from mediaserver.wire.websocket import ping
from tests.virtual import FakeTransport, VirtualLoop, in_virtual_time

PING = ping()


class Peer(FakeTransport):
    """The peer of a heartbeat: how much came from it, whether it answers pings, and whether it reads."""

    def __init__(self, loop: VirtualLoop, window: int | None = 65536) -> None:
        super().__init__(loop)
        self.activity = self.pongs = 0
        self.window = window
        self.given_up: list[float] = []

    def get_extra_info(self, name: str) -> "Peer":
        assert name == "socket"
        return self

    def getsockopt(self, level: int, option: int, size: int) -> bytes:
        assert (level, option) == (socket.IPPROTO_TCP, socket.TCP_INFO)
        if self.window is None:
            return bytes(104)  # the struct of an older kernel
        return bytes(size - 4) + self.window.to_bytes(4, "little")

    def ping(self) -> None:
        self.write(PING)

    def on_dead(self, end: End) -> None:
        assert (end.reason, end.code) == (EndReason.UNANSWERED, 1006)
        self.given_up.append(asyncio.get_running_loop().time())

    def start_heartbeat(self, interval: float = 20) -> Heartbeat:
        return Heartbeat(self, self, interval, self.on_dead, Timers())  # type: ignore[arg-type]


@in_virtual_time
async def test_a_peer_that_answers_is_pinged_again_and_again(loop: VirtualLoop) -> None:
    peer = Peer(loop)
    heartbeat = peer.start_heartbeat()
    for _ in range(10):
        await asyncio.sleep(20)
        peer.activity, peer.pongs = peer.activity + 6, peer.pongs + 1
    heartbeat.stop()
    assert peer.messages == [PING] * 10
    assert peer.times == [20_000 * n for n in range(1, 11)]
    assert not peer.given_up


@in_virtual_time
async def test_a_peer_that_stops_answering_is_given_up_at_the_next_ping(loop: VirtualLoop) -> None:
    peer = Peer(loop)
    peer.start_heartbeat()
    await asyncio.sleep(21)
    peer.activity, peer.pongs = 6, 1
    await asyncio.sleep(1000)
    assert peer.given_up == [60]


@in_virtual_time
async def test_a_peer_that_sends_anything_is_kept(loop: VirtualLoop) -> None:
    peer = Peer(loop, window=0)
    heartbeat = peer.start_heartbeat()
    for _ in range(500):
        await asyncio.sleep(1)
        peer.activity += 340
    heartbeat.stop()
    assert not peer.given_up


@pytest.mark.parametrize(
    ("window", "given_up"), [(65536, []), (32768, []), (32767, [40.0]), (0, [40.0]), (None, [])]
)
@in_virtual_time
async def test_a_peer_that_never_answers_is_given_up_when_its_receive_window_closes(
    window: int | None, given_up: list[float], loop: VirtualLoop
) -> None:
    peer = Peer(loop, window=None if window is None else 65536)
    heartbeat = peer.start_heartbeat()
    peer.window = window
    await asyncio.sleep(400)
    heartbeat.stop()
    assert peer.given_up == given_up


@pytest.mark.parametrize(
    "end", [lambda peer, heartbeat: heartbeat.stop(), lambda peer, _: setattr(peer, "closing", True)]
)
@in_virtual_time
async def test_a_stopped_or_closing_connection_is_not_pinged(
    end: Callable[[Peer, Heartbeat], None], loop: VirtualLoop
) -> None:
    peer = Peer(loop)
    end(peer, peer.start_heartbeat())
    await asyncio.sleep(1000)
    assert not peer.sent
    assert not peer.given_up


@in_virtual_time
async def test_without_an_interval_there_are_no_pings(loop: VirtualLoop) -> None:
    peer = Peer(loop)
    peer.start_heartbeat(0).stop()
    await asyncio.sleep(1000)
    assert not peer.sent
