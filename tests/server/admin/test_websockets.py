"""The admin port's WebSockets: how fast a peer is read, which handshakes are refused, and who leaves amid one."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer
from structlog.testing import capture_logs

from mediaserver import config
from mediaserver.call import Session
from mediaserver.server.admin.endpoint import AdminEndpoint
from mediaserver.server.admin.live.websockets import (
    BURST,
    MESSAGE_COST,
    RATE,
    SHUTTING_DOWN,
    Close,
    Pace,
    read_messages,
    serve_websocket,
)
from mediaserver.server.admin.schemas.openapi import Handler, Operation
from mediaserver.server.server import Server
from scripts.reference.admin_api import operations
from tests.server.process import UPGRADE, connected, upgrade_request, write_config
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
    async def echo(socket: web.WebSocketResponse) -> Close:
        async for message in read_messages(socket):
            await socket.send_str(message.data)
        return SHUTTING_DOWN

    application = web.Application()
    application.router.add_get("/", partial(serve_websocket, serve=echo))
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


class LeftEndpoint(AdminEndpoint):
    """An admin endpoint whose peers are gone when a request that lasts is handled."""

    @property
    def operations(self) -> list[Operation]:
        return [
            each._replace(handler=_after_leaving(each.handler)) if each.websocket or each.lasting else each
            for each in super().operations
        ]


def _after_leaving(handler: Handler) -> Handler:
    async def handle(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        while request.transport is not None:
            await asyncio.sleep(0)
        return await handler(request)

    return handle


@contextlib.asynccontextmanager
async def serving(folder: Path, endpoint: type[AdminEndpoint]) -> AsyncIterator[tuple[Server, Session]]:
    """A server in this process, and one live stream."""
    settings, problems = config.load(write_config(folder, '[paths."/silence"]\nhandler = "silence"'))
    server = Server(settings, "config.toml", problems)
    server.admin = endpoint(server.engine, server.endpoint, server.attacher, str, str)
    try:
        await server.start()
        async with aiohttp.ClientSession() as client, client.ws_connect(f"ws://127.0.0.1:{server.port}/silence"):
            (session,) = server.engine.streams
            yield server, session
    finally:
        await server.close()


async def test_a_peer_that_leaves_amid_the_handshake_is_no_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lasting = [each.path for each in operations() if each.websocket or each.lasting]
    assert len(lasting) == 8
    async with serving(tmp_path, LeftEndpoint) as (server, session):
        with caplog.at_level(logging.WARNING), capture_logs() as lines:
            for path in [*lasting, "/v1/paths/call?path=/silence"]:
                reader, writer = await asyncio.open_connection("127.0.0.1", server.admin_port)
                request = upgrade_request(path.replace("{id}", session.stream.id))
                writer.write(request.replace(b"Host: here", b"Host: 127.0.0.1"))
                with contextlib.suppress(ConnectionError):
                    assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
                writer.close()
        assert not [line for line in lines if line["log_level"] not in ("info", "debug")]
        assert not caplog.records
        assert not len(session.operator.listeners)
        assert len(server.engine.streams) == 1
        assert server.admin.connections == 0


async def test_plain_http_and_a_wrong_handshake_are_refused(tmp_path: Path) -> None:
    async with serving(tmp_path, AdminEndpoint) as (server, session), aiohttp.ClientSession() as client:
        for path in [each.path.replace("{id}", session.stream.id) for each in operations() if each.websocket]:
            url = f"http://127.0.0.1:{server.admin_port}{path}"
            async with client.get(url) as answer:
                assert (answer.status, answer.headers["Upgrade"]) == (426, "websocket")
                assert (await answer.json())["error"] == f"{path} is a WebSocket: connect to it by ws://"
            async with client.get(url, headers=UPGRADE | {"Sec-WebSocket-Key": "short"}) as answer:
                why = "the WebSocket handshake is wrong: Sec-WebSocket-Key must be 16 bytes in base64"
                assert (answer.status, await answer.json()) == (400, {"error": why})
        assert not len(session.operator.listeners)
