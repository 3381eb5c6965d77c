"""Gain and mute by the admin port, as a caller, a handler, a recording and a listener have it."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import numpy as np
import pytest

from mediaserver.audio.pcm import SILENCE, from_bytes, to_bytes
from tests.server.admin.live_calls import CONFIG, LONG, ask, bearer, calling, parts
from tests.server.process import ServerProcess, client_session, connected, serving, write_config
from tests.sound import read_stereo, write_wav
from tests.timing import PATIENCE, eventually

FOLLOWING = set(zip(parts(LONG), parts(LONG)[1:], strict=False))
VOICE = to_bytes(np.full(160, 5000, np.int16))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("gain")
    more = f"""
[paths."/echo"]
handler = "echo"
[paths."/record"]
handler = "record"
directory = "{folder / "recordings"}"
stereo = true
prompt = "long"
[admin.tokens.coach]
token = "of-the-coach"
scopes = ["listen"]
"""
    config = write_config(folder, CONFIG + more)
    write_wav(folder / "prompts" / "long.wav", LONG)
    with serving(config) as server:
        yield server


def scaled(frame: bytes, gain: float) -> bytes:
    return to_bytes(np.floor(from_bytes(frame) * 10 ** (gain / 20)).astype(np.int16))


async def test_a_stream_is_made_softer_and_then_as_it_was(server: ServerProcess) -> None:
    softer = [scaled(frame, -6) for frame in parts(LONG)]
    async with calling(server, "/long") as (stream, heard):
        path = f"/v1/streams/{stream}"
        assert (await ask(server, "GET", path))[1]["gain"] == 0
        assert await ask(server, "PUT", f"{path}/gain", {"gain": -6}) == (204, None)
        await eventually(lambda: heard.messages[-1] in softer[20:] and heard.messages[-2] in softer[20:])
        assert (await ask(server, "GET", path))[1]["gain"] == -6
        assert await ask(server, "PUT", f"{path}/gain", {"gain": 0}) == (204, None)
        await eventually(lambda: tuple(heard.messages[-2:]) in FOLLOWING)
    first = next(n for n, frame in enumerate(heard.messages) if frame != parts(LONG)[n])
    assert heard.messages[first + 1 : first + 3] == softer[first + 1 : first + 3]
    last = heard.messages[-1]
    assert parts(LONG).index(last) == len(heard.messages) - 1  # nothing was left out


@pytest.mark.parametrize(
    ("what", "body", "why"),
    [
        ("gain", {"gain": 21}, "body: gain: should be 20 or less (it is 21)"),
        ("gain", {"gain": -41}, "body: gain: should be -40 or more (it is -41)"),
        ("gain", {}, "body: gain is missing"),
        ("mute", {"muted": True}, "body: side is missing"),
        ("mute", {"muted": True, "side": "both"}, 'body: side: should be "us" or "caller" (it is \'both\')'),
    ],
)
async def test_what_cannot_be_set_is_told(server: ServerProcess, what: str, body: object, why: str) -> None:
    async with calling(server, "/silence") as (stream, _):
        assert await ask(server, "PUT", f"/v1/streams/{stream}/{what}", body) == (400, {"error": why})


async def test_what_plays_goes_on_in_time_while_it_is_muted(server: ServerProcess) -> None:
    async with calling(server, "/long") as (stream, heard):
        path = f"/v1/streams/{stream}"
        assert await ask(server, "PUT", f"{path}/mute", {"muted": True, "side": "us"}) == (204, None)
        await eventually(lambda: heard.messages[-5:] == [SILENCE] * 5)
        described = (await ask(server, "GET", path))[1]
        assert (described["muted"], described["playing"]) == (["us"], "long")
        assert (await ask(server, "PUT", f"{path}/gain", {"gain": -6}))[0] == 204  # which waits
        assert (await ask(server, "PUT", f"{path}/gain", {"gain": 0}))[0] == 204
        assert await ask(server, "PUT", f"{path}/mute", {"muted": False, "side": "us"}) == (204, None)
        await eventually(lambda: tuple(heard.messages[-2:]) in FOLLOWING)
        assert (await ask(server, "GET", path))[1]["muted"] == []
    assert parts(LONG).index(heard.messages[-1]) == len(heard.messages) - 1


@contextlib.asynccontextmanager
async def speaking(server: ServerProcess, path: str) -> AsyncIterator[tuple[str, aiohttp.ClientWebSocketResponse]]:
    """A caller who speaks without a pause; yields the stream's id."""
    async with connected(server.url(path)) as call:

        async def speak() -> None:
            while True:
                await call.send_bytes(VOICE)
                await asyncio.sleep(0.02)

        task = asyncio.create_task(speak())
        await call.receive_bytes()
        try:
            (stream,) = (await ask(server, "GET", f"/v1/streams?path={path}"))[1]["streams"]
            yield stream["id"], call
        finally:
            task.cancel()


async def until_heard(call: aiohttp.ClientWebSocketResponse, frame: bytes) -> None:
    """Wait for three frames in sequence, after those that are there already."""
    async with asyncio.timeout(PATIENCE):
        count = 0
        while count < 3:
            count = count + 1 if await call.receive_bytes() == frame else 0


async def test_the_handler_hears_nothing_of_a_caller_who_is_muted(server: ServerProcess) -> None:
    async with speaking(server, "/echo") as (stream, call):
        await until_heard(call, VOICE)
        path = f"/v1/streams/{stream}/mute"
        assert await ask(server, "PUT", path, {"muted": True, "side": "caller"}) == (204, None)
        await until_heard(call, SILENCE)
        async with (
            client_session() as client,
            client.get(
                server.admin_url(f"/v1/streams/{stream}/listen?side=caller"), headers=bearer("coach")
            ) as listening,
        ):
            await listening.content.readexactly(44)
            async with asyncio.timeout(PATIENCE):
                while await listening.content.readexactly(320) != VOICE:
                    pass
        assert await ask(server, "PUT", path, {"muted": False, "side": "caller"}) == (204, None)
        await until_heard(call, VOICE)


async def test_a_recording_has_our_silence_and_the_caller(server: ServerProcess) -> None:
    async with speaking(server, "/record") as (stream, call):
        for side in ("us", "caller"):
            assert (await ask(server, "PUT", f"/v1/streams/{stream}/mute", {"muted": True, "side": side}))[
                0
            ] == 204
        await until_heard(call, SILENCE)
        for _ in range(20):
            await call.receive_bytes()
    done = await asyncio.to_thread(server.wait_for_event, "recording done")
    recorded = read_stereo(Path(done["file"]))
    muted = recorded[:, 1].nonzero()[0][-1] + 1  # since we sent sound for the last time
    assert len(recorded) - muted > 10 * 160
    assert np.count_nonzero(recorded[muted:, 0] == 5000) > 5 * 160
