"""How fast a peer of the admin port's WebSockets is read."""

import asyncio

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from mediaserver.server.admin.live.websockets import BURST, MESSAGE_COST, RATE, Pace, open_websocket, read_messages
from tests.server.process import connected
from tests.timing import PATIENCE


def test_a_burst_is_free_and_then_the_rate_holds() -> None:
    size = RATE // 10 - MESSAGE_COST  # each lasts 0.1 s
    pace, free = Pace(100.0), round(BURST * 10)
    for now in (100.0, 200.0):  # one who was quiet for long may send as much as in the beginning, and no more
        delays = [pace.delay_after(size, now) for _ in range(free + 2)]
        assert delays == pytest.approx([0.0] * free + [0.1, 0.2])


@pytest.mark.parametrize("size", [42, 160, 320, 640, 3200])
def test_audio_in_real_time_is_never_delayed(size: int) -> None:
    pace, now = Pace(0.0), 0.0
    for _ in range(1000):
        assert pace.delay_after(size, now) == 0
        now += size / 16_000


async def test_pings_are_answered_and_count() -> None:
    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = open_websocket(1024)
        await socket.prepare(request)
        async for message in read_messages(socket):
            await socket.send_str(message.data)
        return socket

    application = web.Application()
    application.router.add_get("/", serve)
    async with TestServer(application) as server, connected(str(server.make_url("/")), autoping=False) as peer:
        count = 3 * RATE // (MESSAGE_COST + 125)  # for 3 s, of which a burst is free
        began = asyncio.get_running_loop().time()
        for _ in range(count):
            await peer.ping(bytes(125))
        await peer.send_str("after them")
        answers = []
        async with asyncio.timeout(PATIENCE):
            while (message := await peer.receive()).type is WSMsgType.PONG:
                answers.append(message.data)
        assert message.data == "after them"
        assert answers == [bytes(125)] * count
        assert asyncio.get_running_loop().time() - began > 1.9
