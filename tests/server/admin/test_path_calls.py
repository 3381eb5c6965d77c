"""Calls of paths by the admin port: they are calls as all others, without the path's access."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import numpy as np
import pytest

from mediaserver.audio.pcm import SILENCE, to_bytes
from mediaserver.audio.tones import dtmf, render
from tests.server.admin.live_calls import LONG, SHORT, TOKENS, ask, bearer, event, message, parts
from tests.server.process import (
    UPGRADE,
    ServerProcess,
    client_session,
    connected,
    get,
    serving,
    until_nobody_plays,
    write_config,
)
from tests.sound import write_wav
from tests.timing import PATIENCE

PATHS = """
[defaults]
encapsulation = "rtp"
lead = 0
[paths."/play/{prompt:.+}"]
handler = "playback"
prompt = "{prompt}"
tokens = ["of-a-caller"]
allow = ["192.0.2.1"]
[paths."/echo"]
handler = "echo"
max_streams = 1
[paths."/keys"]
handler = "analyse"
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("path-calls")
    config = write_config(folder, TOKENS + PATHS)
    write_wav(folder / "prompts" / "music" / "short.wav", SHORT)
    write_wav(folder / "prompts" / "long.wav", LONG)
    with serving(config) as server:
        yield server


@contextlib.asynccontextmanager
async def calling(
    server: ServerProcess, path: str, by: str = "agent", **headers: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    url = server.admin_url("/v1/paths/call").replace("http", "ws")
    async with connected(url, params={"path": path}, headers=bearer(by) | headers) as websocket:
        yield websocket


async def frames(websocket: aiohttp.ClientWebSocketResponse) -> AsyncIterator[bytes]:
    """What is heard, until the server closes."""
    async with asyncio.timeout(PATIENCE):
        while (heard := await websocket.receive()).type is aiohttp.WSMsgType.BINARY:
            yield heard.data


def value(metrics: str, name: str) -> float:
    return float(next(line for line in metrics.splitlines() if line.startswith(name)).rpartition(" ")[2])


async def test_a_path_is_heard_to_its_end_without_its_access(server: ServerProcess) -> None:
    url = server.admin_url("/v1/events?type=stream.*").replace("http", "ws")
    async with connected(url, headers=bearer("reader")) as events:
        async with calling(server, "/play/music%2Fshort?customer=7&call_id=c-7") as websocket:
            assert websocket.protocol is None
            about = await message(websocket)
            assert list(about) == ["type", "stream"]
            assert about["type"] == "connected"
            heard = [frame async for frame in frames(websocket)]
            assert websocket.close_code == 1000
        ended = await event(events, "stream.ended")
    # Of a prompt that was not needed in this wire format before, silence is sent until it is encoded.
    assert [frame for frame in heard if frame != SILENCE] == parts(SHORT)
    assert ended["stream"] == about["stream"]
    assert ended["data"]["variables"] == {"customer": "7", "call_id": "c-7", "prompt": "music/short"}
    facts = ("path", "peer", "wire", "inbound", "reason", "call")
    assert [ended["data"][key] for key in facts] == [
        "/play/music/short",
        "console",
        "sln/pcm",
        "slin",
        "finished",
        "c-7",
    ]
    began, ended = (line for line in server.events("admin request") if line["path"] == "/v1/paths/call")
    called = {"called": "/play/music/short", "stream": about["stream"]}
    assert {"by": "agent", "begins": True, **called}.items() <= began.items()
    assert "customer" not in str(began)
    assert {"by": "agent", "status": 200}.items() <= ended.items()


async def test_the_caller_is_heard_and_seen_as_any_other(server: ServerProcess) -> None:
    sound = [to_bytes(np.full(160, 100 * n, dtype=np.int16)) for n in range(1, 51)]
    async with calling(server, "/echo") as websocket:
        stream = (await message(websocket))["stream"]
        unsaid, heard = sound[::-1], []
        async for frame in frames(websocket):  # at whose pace the caller speaks
            heard.append(frame)
            if frame == sound[-1]:
                break
            if unsaid:
                await websocket.send_bytes(unsaid.pop())
        assert [frame for frame in heard if frame != SILENCE] == sound
        (listed,) = (await ask(server, "GET", "/v1/streams?path=/echo"))[1]["streams"]
        assert (listed["id"], listed["peer"], listed["received"]) == (stream, "console", 50)
        metrics = (await get(server.admin_url("/metrics"), headers=bearer("reader")))[1]
        assert value(metrics, 'mediaserver_sessions{path="/echo"}') == 1
        assert value(metrics, "mediaserver_connections ") == 1  # it has left those of the admin port
        assert value(metrics, "mediaserver_admin_connections ") == 1
        assert (await ask(server, "DELETE", f"/v1/streams/{stream}"))[0] == 204
        _ = [frame async for frame in frames(websocket)]
        assert websocket.close_code == 1000
    await until_nobody_plays(server, headers=bearer("reader"))


async def test_keys_are_heard_in_the_audio(server: ServerProcess) -> None:
    url = server.admin_url("/v1/events?type=digits").replace("http", "ws")
    async with connected(url, headers=bearer("reader")) as events, calling(server, "/keys") as websocket:
        stream = (await message(websocket))["stream"]
        for part in parts(render(dtmf("1#", 100, 100)).once):
            await websocket.send_bytes(part)
        await websocket.send_bytes(SILENCE)
        digits = ""
        while digits != "1#":
            told = await event(events, "digits")
            assert told["stream"] == stream
            digits += told["data"]["digits"]


@pytest.mark.parametrize(
    ("path", "code", "why"),
    [
        ("/nowhere", 4404, "no path /nowhere"),
        ("/play/nothing", 4404, 'no prompt "nothing"'),
        ("/echo?repeat=2", 4400, "repeat is not for /echo, which does not repeat anything"),
        ("menu", 4400, "path should begin with one /, and may have a query"),
        ("//example.com/echo", 4400, "path should begin with one /, and may have a query"),
        ("", 4400, "path should begin with one /, and may have a query"),
    ],
)
async def test_a_call_that_is_refused_is_closed_with_the_reason(
    server: ServerProcess, path: str, code: int, why: str
) -> None:
    async with calling(server, path) as websocket:
        assert await closed(websocket) == (code, why)


async def closed(websocket: aiohttp.ClientWebSocketResponse) -> tuple[int | None, Any]:
    """The close code and the reason with which the server closes at once."""
    async with asyncio.timeout(PATIENCE):
        last = await websocket.receive()
    return websocket.close_code, last.extra


async def test_the_limits_of_a_path_hold(server: ServerProcess) -> None:
    async with calling(server, "/echo") as first:
        await message(first)
        async with calling(server, "/echo") as second:
            why = "full: 1 stream is playing on this path, try again later"
            assert await closed(second) == (4503, why)


async def test_who_may_call(server: ServerProcess) -> None:
    refused = [("reader", {}, 403), ("nobody", {}, 401), ("agent", {"Origin": "http://example.com"}, 403)]
    for by, headers, status in refused:
        with pytest.raises(aiohttp.WSServerHandshakeError) as error:
            async with calling(server, "/echo", by=by, **headers):
                pass
        assert error.value.status == status
    url = server.admin_url("/v1/paths/call?path=/echo")
    assert (await get(url, headers=bearer("agent")))[0] == 426
    status, text = await get(url, headers=bearer("agent") | UPGRADE | {"Sec-WebSocket-Version": "8"})
    assert (status, "Sec-WebSocket-Version must be 13" in text) == (400, True)
    ticket = (await ask(server, "POST", "/v1/tickets", {"path": "/v1/paths/call"}))[1]["ticket"]
    async with client_session() as client, client.ws_connect(f"{url}&ticket={ticket}") as websocket:
        assert (await message(websocket))["type"] == "connected"
