"""Levels of live streams by the admin port: of those that a peer looks at, and only while they last."""

import asyncio
import json
from collections import UserDict
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import aiohttp
import numpy as np
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from mediaserver.audio.pcm import quantize, to_bytes
from mediaserver.call import End, EndReason
from mediaserver.runtime.engine import Engine
from mediaserver.server.admin.live.levels import LevelStreams, Meters
from tests.call.caller import Caller
from tests.handlers.test_handlers import library_of
from tests.server.admin.live_calls import CONFIG, LONG, SHORT, ask, bearer, calling, message
from tests.server.process import ServerProcess, connected, serving, write_config
from tests.sound import sine, write_wav
from tests.timing import PATIENCE, eventually, late
from tests.virtual import VirtualLoop, in_virtual_time

SINE = quantize(sine(1000, 20, 8000, peak=0.1))  # -20 dBFS
VOICE = to_bytes(quantize(sine(400, 0.02, 8000, peak=0.5)))  # a frame, whose periods are whole


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("levels")
    config = write_config(folder, f'{CONFIG}\n[paths."/sine"]\nhandler = "playback"\nprompt = "sine"\n')
    for name, samples in (("long", LONG), ("short", SHORT), ("sine", SINE)):
        write_wav(folder / "prompts" / f"{name}.wav", samples)
    with serving(config) as server:
        yield server


def levels_url(server: ServerProcess, *streams: str) -> str:
    return server.admin_url(f"/v1/levels?streams={','.join(streams)}").replace("http", "ws")


async def next_levels(websocket: aiohttp.ClientWebSocketResponse) -> dict[str, Any]:
    found = await message(websocket)
    assert found.keys() == {"levels"}
    return dict(found["levels"])


async def test_levels_are_those_of_what_is_heard(server: ServerProcess) -> None:
    async with connected(server.url("/sine")) as call:

        async def speak() -> None:
            while True:
                await call.send_bytes(VOICE)
                await asyncio.sleep(0.02)

        speaking = asyncio.create_task(speak())
        await call.receive()
        (stream,) = [each["id"] for each in (await ask(server, "GET", "/v1/streams?path=/sine"))[1]["streams"]]
        async with connected(levels_url(server, stream), headers=bearer("reader")) as websocket:
            await next_levels(websocket)
            before = asyncio.get_running_loop().time()
            for _ in range(5):
                found = {"caller": None}
                while None in found.values():  # this process, which speaks, may have been late for 200 ms
                    (found,) = (await next_levels(websocket)).values()
                assert found["playing"] == "sine"
                assert found["us"] == pytest.approx(-20, abs=0.5)
                assert found["caller"] == pytest.approx(20 * np.log10(0.5), abs=0.5)
            assert asyncio.get_running_loop().time() - before >= 0.8 - late()
        speaking.cancel()
        await asyncio.gather(speaking, return_exceptions=True)


async def test_a_peer_looks_at_other_streams_and_silence_is_null(server: ServerProcess) -> None:
    async with (
        calling(server, "/sine") as (loud, _),
        calling(server, "/silence") as (quiet, _),
        connected(levels_url(server, loud, "none"), headers=bearer("reader")) as websocket,
    ):
        assert (await next_levels(websocket)).keys() == {loud}
        await websocket.send_str(json.dumps({"streams": [quiet, "none"]}))
        async with asyncio.timeout(PATIENCE):
            while (found := await next_levels(websocket)).keys() != {quiet}:
                pass
        assert found[quiet] | {"late": 0} == {"caller": None, "us": None, "playing": "", "late": 0}
        await websocket.send_str(json.dumps({"streams": [quiet, loud]}))
        async with asyncio.timeout(PATIENCE):
            while (await next_levels(websocket)).keys() != {quiet, loud}:
                pass
            await ask(server, "DELETE", f"/v1/streams/{loud}")
            while (await next_levels(websocket)).keys() != {quiet}:
                pass


async def test_who_may_look_and_at_how_many(server: ServerProcess) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(levels_url(server, *map(str, range(201))), headers=bearer("reader")):
            pass
    assert refused.value.status == 400
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        async with connected(levels_url(server)):
            pass
    assert refused.value.status == 401
    for body in ({"streams": ["x"] * 201}, {"stream": "x"}, "x"):
        async with connected(levels_url(server), headers=bearer("reader")) as websocket:
            await websocket.send_str(json.dumps(body))
            async with asyncio.timeout(PATIENCE):
                assert (await websocket.receive()).type == aiohttp.WSMsgType.CLOSE
            assert websocket.close_code == 1008


class LookedUp(UserDict[str, Any]):
    """The streams of a server without any, which keeps the names of those that were looked for."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def get(self, key: str, default: Any = None) -> Any:
        self.names.append(key)
        return default


async def test_what_a_peer_looks_at_changes_five_times_a_second_and_the_latest_wins() -> None:
    streams, application = LookedUp(), web.Application()
    application.router.add_get("/", LevelStreams(cast("Engine", SimpleNamespace(streams=streams))).serve)
    async with TestServer(application) as server, connected(str(server.make_url("/"))) as websocket:
        began = asyncio.get_running_loop().time()
        for n in range(200):
            await websocket.send_str(json.dumps({"streams": [str(n)]}))
        await eventually(lambda: "199" in streams.names)
        took = asyncio.get_running_loop().time() - began
    assert len(streams.names) <= 1 + 5 * took


@in_virtual_time
async def test_streams_may_end_while_a_peer_looks_at_others(loop: VirtualLoop) -> None:
    sessions = {str(n): Caller(loop, library_of({})).session for n in range(50)}
    meters = Meters(cast("Engine", SimpleNamespace(streams=sessions)))
    meters.wanted = set(sessions)
    await meters.change()
    assert (await meters.measure()).keys() == sessions.keys()

    async def end() -> None:
        for session in sessions.values():
            session.finish(End(EndReason.PEER_CLOSED, 1000))
        assert await meters.measure() == {}

    meters.wanted = set()
    await asyncio.gather(meters.change(), end())
